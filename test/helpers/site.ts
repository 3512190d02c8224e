import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { type Folders, type StaticServer, serveFolders } from '../../apps/demo/static.ts';
import { browserBuild } from '../../packages/core/browser.build.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const ORT = join(ROOT, 'node_modules/onnxruntime-web/dist');
const MODELS = join(ROOT, 'packages/models');

/** Answers a request by itself: true when it did. */
export type Handler = (request: IncomingMessage, response: ServerResponse, path: string) => boolean;

export interface Site extends StaticServer, AsyncDisposable {
  /** Paths that were asked for, in order. */
  readonly asked: string[];
  /** Put before the files; may be changed while the site runs. */
  handler: Handler | undefined;
}

/** Serves folders as a web server would, cross-origin isolated unless told otherwise; `/` is an empty page where there is none. */
export async function serveSite(
  folders: Folders,
  { isolated = true }: { readonly isolated?: boolean } = {},
): Promise<Site> {
  const asked: string[] = [];
  const hasIndex = '/' in folders;
  const before: Handler = (request, response, path) => {
    asked.push(path);
    if (site.handler?.(request, response, path)) return true;
    if (path !== '/' || hasIndex) return false;
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Empty</title>');
    return true;
  };
  const server = await serveFolders(folders, { isolated, before });
  const site: Site = { ...server, asked, handler: undefined, [Symbol.asyncDispose]: () => server.stop() };
  return site;
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
