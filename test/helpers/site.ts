import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { browserBuild } from '../../packages/core/browser.build.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const ORT = join(ROOT, 'node_modules/onnxruntime-web/dist');
const MODELS = join(ROOT, 'packages/models');

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

/** Answers a request by itself: true when it did. */
export type Handler = (request: IncomingMessage, response: ServerResponse, path: string) => boolean;

export interface Site extends AsyncDisposable {
  /** Ends in `/`. */
  readonly url: string;
  /** Paths that were asked for, in order. */
  readonly asked: string[];
  /** Put before the files; may be changed while the site runs. */
  handler: Handler | undefined;
  /** Ends every connection and refuses new ones. */
  stop(): Promise<void>;
}

/** Folders by URL prefix, the longest that fits first; of several the first that has the file. */
export type Folders = Readonly<Record<string, readonly string[]>>;

/** Serves folders as a web server would, cross-origin isolated unless told otherwise. */
export async function serveSite(
  folders: Folders,
  { isolated = true }: { readonly isolated?: boolean } = {},
): Promise<Site> {
  const asked: string[] = [];
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url!, 'http://site').pathname);
    asked.push(path);
    if (isolated) {
      response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
      response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    }
    if (site.handler?.(request, response, path)) return;
    const found = await find(folders, path);
    if (!found) {
      const page = '<!doctype html><title>Empty</title>';
      response.writeHead(path === '/' ? 200 : 404, { 'content-type': 'text/html' }).end(page);
      return;
    }
    const type = TYPES[extname(found.file)] ?? 'application/octet-stream';
    response.writeHead(200, { 'content-type': type, 'content-length': found.size });
    createReadStream(found.file).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  const site: Site = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    asked,
    handler: undefined,
    stop,
    [Symbol.asyncDispose]: stop,
  };
  return site;
}

async function find(folders: Folders, path: string): Promise<{ file: string; size: number } | undefined> {
  const prefix = Object.keys(folders)
    .toSorted((a, b) => b.length - a.length)
    .find((start) => path.startsWith(start));
  if (prefix === undefined) return undefined;
  const name = normalize(path.slice(prefix.length) || 'index.html').replace(/^(\.\.[/\\])+/, '');
  for (const folder of folders[prefix]!) {
    const file = join(folder, name);
    const info = await stat(file).catch(() => undefined);
    if (info?.isFile()) return { file, size: info.size };
  }
  return undefined;
}

/** A built `@elfin/core/web` in a folder of its own: `/elfin/web.js`, and beside it what it needs. */
export async function buildElfin(): Promise<AsyncDisposable & { readonly folders: Folders; readonly folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'elfin-web-'));
  await build({ ...browserBuild, outdir: folder, logLevel: 'silent' });
  return {
    folder,
    folders: { '/elfin/models/': [MODELS], '/elfin/': [folder, ORT] },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}
