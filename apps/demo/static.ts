import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { pipeline } from 'node:stream';
import { constants, createBrotliCompress } from 'node:zlib';

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

const TEXT = /^(text|application\/(wasm|json|manifest))|svg/;
// ONNX Runtime's wasm: 14.2 MB become 2.9, at the speed of a disk; the best quality would save a tenth more, and take a minute.
const QUALITY = { params: { [constants.BROTLI_PARAM_QUALITY]: 5, [constants.BROTLI_PARAM_LGWIN]: 24 } };

/** Folders by URL prefix, the longest that fits first; of several the first that has the file. */
export type Folders = Readonly<Record<string, readonly string[]>>;

export interface StaticOptions {
  /** Any free one by default. */
  readonly port?: number;
  /** The two headers that give a page shared memory, and with it wasm threads; true by default. */
  readonly isolated?: boolean;
  /** Sends what gets smaller by it with brotli; false by default. */
  readonly compress?: boolean;
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
  { port = 0, isolated = true, compress = false, before }: StaticOptions = {},
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
    const type = TYPES[extname(found.file)] ?? 'application/octet-stream';
    const headers = { 'content-type': type, 'cache-control': 'no-cache', vary: 'accept-encoding' };
    const body = createReadStream(found.file);
    if (compress && TEXT.test(type) && /\bbr\b/.test(String(request.headers['accept-encoding']))) {
      response.writeHead(200, { ...headers, 'content-encoding': 'br' });
      pipeline(body, createBrotliCompress(QUALITY), response, () => {});
    } else {
      response.writeHead(200, { ...headers, 'content-length': found.size });
      pipeline(body, response, () => {});
    }
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
