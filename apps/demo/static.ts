import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.jpg': 'image/jpeg',
  '.png': 'image/png',
};

/** Folders by URL prefix, the longest that fits first; of several the first that has the file. */
export type Folders = Readonly<Record<string, readonly string[]>>;

export interface StaticOptions {
  /** Any free one by default. */
  readonly port?: number;
  /** The two headers that give a page shared memory, and with it wasm threads; true by default. */
  readonly isolated?: boolean;
  /** Asked before the files: true when it has answered by itself. */
  readonly before?: (request: IncomingMessage, response: ServerResponse, path: string) => boolean;
}

export interface StaticServer {
  /** Ends in `/`. */
  readonly url: string;
  /** Ends every connection and refuses new ones. */
  stop(): Promise<void>;
}

/** Serves folders on loopback as any web server would. Errors: Node's own when the port is taken. */
export async function serveFolders(
  folders: Folders,
  { port = 0, isolated = true, before }: StaticOptions = {},
): Promise<StaticServer> {
  const server = createServer(async (request, response) => {
    const path = pathOf(request.url);
    if (isolated) {
      response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
      response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    }
    if (before?.(request, response, path)) return;
    const found = await find(folders, path);
    if (!found) {
      response.writeHead(404, { 'content-type': 'text/html' }).end('<!doctype html><title>Not found</title>');
      return;
    }
    response.writeHead(200, {
      'content-type': TYPES[extname(found.file)] ?? 'application/octet-stream',
      'content-length': found.size,
      'cache-control': 'no-cache',
    });
    createReadStream(found.file).pipe(response);
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function pathOf(url = '/'): string {
  try {
    return decodeURIComponent(new URL(url, 'http://site').pathname);
  } catch {
    return '/not-a-path';
  }
}

async function find(folders: Folders, path: string): Promise<{ file: string; size: number } | undefined> {
  const prefix = Object.keys(folders)
    .toSorted((a, b) => b.length - a.length)
    .find((start) => path.startsWith(start));
  if (prefix === undefined) return undefined;
  const name = normalize(`/${path.slice(prefix.length) || 'index.html'}`);
  for (const folder of folders[prefix]!) {
    const file = join(folder, name);
    const info = await stat(file).catch(() => undefined);
    if (info?.isFile()) return { file, size: info.size };
  }
  return undefined;
}
