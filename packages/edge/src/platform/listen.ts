import type { IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { ElfinError } from '@elfin/core';
import { type ServerType, serve } from '@hono/node-server';
import { answerError } from '../http/answer.ts';

/** Where a server listens. */
export interface Listening {
  readonly url: string;
  /** Takes no new connection and waits for those that are open. */
  close(): Promise<void>;
}

/**
 * A `.` or `..` segment, as a request line may spell it. `URL` resolves them before any route is looked for, while the proxy
 * in front may not have: `/i/../metrics` would pass a rule for `/i/` and be answered as `/metrics`.
 */
const DOT_SEGMENT = /(?:^|[/\\])(?:\.|%2e){1,2}(?=$|[/\\])/i;

/**
 * Answers requests on a port. A path with dot segments is 400, a request line or header that Node's parser gives up on is a
 * typed 4xx. Errors: CONFIG_INVALID for a port that is taken.
 */
export async function listen(options: {
  readonly fetch: (request: Request) => Response | Promise<Response>;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
}): Promise<Listening> {
  const { fetch, host, port } = options;
  const answer = (request: Request, { incoming }: { incoming: Pick<IncomingMessage, 'url'> }) => {
    const path = (incoming.url ?? '').split('?', 1)[0] ?? '';
    if (!DOT_SEGMENT.test(path)) return fetch(request);
    return answerError(new ElfinError('URL_INVALID', 'The path has a "." or ".." segment; write it out.'));
  };
  const { server, address } = await new Promise<{ server: ServerType; address: AddressInfo }>((done, failed) => {
    const server = serve({ fetch: answer as typeof fetch, hostname: host, port }, (address) =>
      done({ server, address }),
    );
    server.on('clientError', refuse);
    server.once('error', (cause) => {
      failed(new ElfinError('CONFIG_INVALID', `Cannot listen on ${host}:${port}; is another server there?`, { cause }));
    });
  });
  const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return {
    url: `http://${shown}:${address.port}`,
    async close() {
      await new Promise<void>((done) => {
        server.close(() => done());
        if ('closeIdleConnections' in server) server.closeIdleConnections();
      });
    },
  };
}

/** What came was no request that could be read: there is a socket to write to, and nothing else. */
async function refuse(error: NodeJS.ErrnoException, socket: Socket): Promise<void> {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const known =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new ElfinError('URL_TOO_LONG', 'The request line and headers are longer than 16 KB.')
      : new ElfinError('URL_INVALID', 'This is no HTTP request that can be read.');
  const response = answerError(known);
  const body = await response.text();
  const headers = [...response.headers].map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const reason = response.status === 414 ? 'URI Too Long' : 'Bad Request';
  socket.end(
    `HTTP/1.1 ${response.status} ${reason}\r\n${headers}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
