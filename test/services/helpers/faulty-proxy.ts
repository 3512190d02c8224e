import { once } from 'node:events';
import { request as ask, createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';

/** What may go wrong between a client and a store. */
export const FAULTS = [
  'hang at connect',
  'hang at first byte',
  'hang in mid-body',
  'reset',
  'reset in mid-body',
  'half a body',
  'wrong bytes',
  'slow drip',
  '503',
  '429',
  'expired credentials',
  'denied',
  'clock skew',
] as const;
export type Fault = (typeof FAULTS)[number];

const REFUSALS: Partial<Record<Fault, readonly [number, string]>> = {
  '503': [503, 'SlowDown'],
  '429': [429, 'TooManyRequests'],
  'expired credentials': [400, 'ExpiredToken'],
  denied: [403, 'AccessDenied'],
  'clock skew': [403, 'RequestTimeTooSkewed'],
};

/** A request as a fault is chosen by. */
export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly conditional: boolean;
}

/**
 * Stands before a store and spoils the requests that `choose` names a fault for. Signatures stay good: the host that they
 * name is the proxy's, and goes along.
 */
export async function startFaultyProxy(upstream: string) {
  const { hostname, port: upstreamPort } = new URL(upstream);
  let choose: (asked: Asked) => Fault | undefined = () => undefined;
  let deaf = false;
  let requests = 0;

  const server = createServer((request, response) => {
    requests++;
    const { method = '', url = '', headers } = request;
    const fault = choose({ method, url, conditional: 'if-match' in headers || 'if-none-match' in headers });
    if (fault === 'reset') return void request.socket.destroy();
    const refusal = fault && REFUSALS[fault];
    if (refusal) return void refuse(request, response, refusal);
    // Read to its end and never answered.
    if (fault === 'hang at first byte' || fault === 'hang at connect') return void request.resume();
    const forwarded = ask({ hostname, port: upstreamPort, method, path: url, headers });
    forwarded.on('error', () => response.destroy());
    forwarded.on('response', (answer) => void relay(answer, response, fault));
    request.pipe(forwarded);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const inner = (server.address() as AddressInfo).port;

  // In front of it, so that connections can be taken and left alone.
  const door = createTcpServer((socket) => {
    socket.on('error', () => undefined);
    if (deaf) return;
    const through = connect(inner, '127.0.0.1');
    through.on('error', () => socket.destroy());
    socket.on('close', () => through.destroy());
    through.on('close', () => socket.destroy());
    socket.pipe(through).pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(door, 'listening');
  const { port } = door.address() as AddressInfo;

  return {
    endpoint: `http://127.0.0.1:${port}`,
    requests: () => requests,
    /** From now on; undefined heals. */
    spoil(next: ((asked: Asked) => Fault | undefined) | undefined) {
      choose = next ?? (() => undefined);
    },
    /** New connections are accepted, and nothing is ever read from them; those that are there end. */
    async deafen(value: boolean) {
      deaf = value;
      if (value) server.closeAllConnections();
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      door.close();
    },
  };
}

function refuse(request: IncomingMessage, response: ServerResponse, [status, word]: readonly [number, string]): void {
  request.resume();
  response.writeHead(status).end(request.method === 'HEAD' ? undefined : `<Error><Code>${word}</Code></Error>`);
}

async function relay(answer: IncomingMessage, response: ServerResponse, fault: Fault | undefined): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of answer) parts.push(part as Buffer);
  const bytes = Buffer.concat(parts);
  response.writeHead(answer.statusCode ?? 502, answer.headers);
  const half = bytes.subarray(0, Math.floor(bytes.length / 2));
  switch (fault) {
    case 'hang in mid-body':
      response.write(half);
      return;
    case 'reset in mid-body':
    case 'half a body':
      response.write(half, () => (fault === 'half a body' ? response.socket?.end() : response.socket?.destroy()));
      return;
    case 'wrong bytes':
      bytes[bytes.length >> 1]! ^= 1;
      response.end(bytes);
      return;
    case 'slow drip': {
      let at = 0;
      const drip = setInterval(() => {
        if (response.destroyed || at >= bytes.length) clearInterval(drip);
        else response.write(bytes.subarray(at, ++at));
      }, 100);
      return;
    }
    default:
      response.end(bytes);
  }
}
