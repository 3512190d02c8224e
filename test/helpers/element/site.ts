import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import sharp from 'sharp';
import { buildElfin, serveSite } from '../site.ts';

/** What docs/browser.md says is enough. */
export const POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'";

/** A site whose page runs the rows of ./rows.ts, under {@link POLICY}, and another one that allows other sites little. */
export async function serveElementRows(): Promise<AsyncDisposable & { readonly url: string }> {
  const built = await buildElfin();
  const images = join(built.folder, 'pictures');
  await mkdir(images);
  const picture = (background: string) => sharp({ create: { width: 64, height: 48, channels: 3, background } }).png();
  await picture('rgb(200,20,20)').toFile(join(images, 'a.png'));
  await picture('rgb(20,20,200)').toFile(join(images, 'b.png'));
  await picture('rgb(128,128,128)').toFile(join(images, 'grey.png'));
  await build({
    entryPoints: [fileURLToPath(new URL('rows.ts', import.meta.url))],
    outfile: join(images, 'rows.js'),
    bundle: true,
    format: 'esm',
    conditions: ['@elfin/source'],
    external: ['onnxruntime-web/*'],
    logLevel: 'silent',
  });
  await writeFile(
    join(images, 'fallback.html'),
    '<!doctype html><title>no script has run</title><elfin-image task="derain"><img src="/images/a.png" alt=""></elfin-image><script type="module" src="/images/rows.js"></script><script>document.title = "a script has run"</script>',
  );
  const other = await serveSite({ '/images/': [images], '/cors/': [images] }, { isolated: false });
  other.handler = (_, response, path) => {
    if (path.startsWith('/cors/')) response.setHeader('access-control-allow-origin', '*');
    return false;
  };
  const site = await serveSite({ ...built.folders, '/images/': [images], '/fallback.html': [] }, { isolated: false });
  site.handler = (_, response, path) => {
    const crossOrigin = `${POLICY}; img-src 'self' ${other.url}`;
    response.setHeader('content-security-policy', crossOrigin);
    if (path === '/fallback.html') return redirect(response);
    // Never comes to its end.
    if (path === '/slow.png')
      return Boolean(response.writeHead(200, { 'content-type': 'image/png' }).flushHeaders() ?? true);
    if (path !== '/') return false;
    const html =
      '<!doctype html><html lang="en"><title>Rows</title><main></main><script type="module" src="/images/rows.js"></script>';
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(html);
    return true;
  };
  return {
    url: `${site.url}?other=${encodeURIComponent(other.url)}`,
    async [Symbol.asyncDispose]() {
      await Promise.all([site.stop(), other.stop()]);
      await built[Symbol.asyncDispose]();
    },
  };
}

function redirect(response: import('node:http').ServerResponse): true {
  response.writeHead(302, { location: '/images/fallback.html' }).end();
  return true;
}
