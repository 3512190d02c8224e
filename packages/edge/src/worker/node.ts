import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ElfinError } from '@elfin/core';
import { serve } from '@hono/node-server';
import { createWorker, type WorkerOptions } from './app.ts';

export interface ServeWorkerOptions extends WorkerOptions {
  /** Default 127.0.0.1. Any other address needs a token. */
  readonly host?: string;
  /** Default 8000; 0 takes a free one. */
  readonly port?: number;
}

export interface RunningWorker {
  readonly url: string;
  /** Takes no new connections, finishes what was accepted, closes the graphs. */
  close(): Promise<void>;
}

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);

/** Starts a worker on Node. Errors: CONFIG_INVALID for an open address without a token, or a port that is taken. */
export async function serveWorker(options: ServeWorkerOptions): Promise<RunningWorker> {
  const { host = '127.0.0.1', port = 8000, bodyMs = 30_000 } = options;
  if (!LOOPBACK.has(host) && !options.token)
    throw new ElfinError('CONFIG_INVALID', `Listening on ${host} lets others in: set a token, or listen on 127.0.0.1.`);
  const worker = createWorker(options);
  const server = await new Promise<Server>((resolve, reject) => {
    // Slow bodies and headers are cut off by Node itself, whatever route they aim at.
    const serverOptions = {
      requestTimeout: bodyMs + 5_000,
      headersTimeout: Math.min(10_000, bodyMs + 5_000),
      connectionsCheckingInterval: 2_000,
    };
    const started = serve({ fetch: worker.app.fetch, hostname: host, port, serverOptions }, () =>
      resolve(started),
    ) as Server;
    started.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        new ElfinError('CONFIG_INVALID', `Cannot listen on ${host}:${port} (${cause.code}): choose another port.`, {
          cause,
        }),
      ),
    );
  });
  const address = server.address() as AddressInfo;
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return {
    url: `http://${name}:${address.port}`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      await worker.drain();
      server.closeIdleConnections();
      await closed;
    },
  };
}
