import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { ElfinError } from '@elfin/core';
import { serve } from '@hono/node-server';

/** A server on `hostname` and `port`; 0 takes a free one. Errors: CONFIG_INVALID for a port that is taken. */
export async function listen(
  fetch: (request: Request) => Response | Promise<Response>,
  {
    port: wanted = 0,
    hostname = '127.0.0.1',
  }: { readonly port?: number | undefined; readonly hostname?: string | undefined },
): Promise<{ readonly url: string; readonly port: number; close(): void }> {
  const server = serve({ fetch, port: wanted, hostname });
  if (!server.listening)
    await once(server, 'listening').catch((cause: NodeJS.ErrnoException) => {
      const message = `Cannot listen on ${hostname}:${wanted} (${cause.code}): choose another port.`;
      throw new ElfinError('CONFIG_INVALID', message, { cause });
    });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${hostname}:${port}`,
    port,
    close() {
      server.close();
      if ('closeAllConnections' in server) server.closeAllConnections();
    },
  };
}
