import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildDemo } from './build.ts';

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
};

const folder = fileURLToPath(new URL('dist', import.meta.url));
const port = Number(process.env.PORT ?? 8080);

await buildDemo(folder);
createServer(async (request, response) => {
  const path = decodeURIComponent(new URL(request.url ?? '/', 'http://demo').pathname);
  const file = join(folder, normalize(path.endsWith('/') ? `${path}index.html` : path));
  const info = file.startsWith(folder) ? await stat(file).catch(() => undefined) : undefined;
  if (!info?.isFile()) {
    response.writeHead(404).end('Not found\n');
    return;
  }
  response.writeHead(200, {
    'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
    'content-length': info.size,
    'cache-control': 'no-cache',
    // These two give the page shared memory, and with it wasm threads.
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
  });
  createReadStream(file).pipe(response);
}).listen(port, '127.0.0.1', () => console.log(`elfin demo: http://localhost:${port}/`));
