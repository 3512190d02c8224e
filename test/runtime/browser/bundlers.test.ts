import { execFile } from 'node:child_process';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build as bundle } from 'esbuild';
import type { Browser } from 'playwright-core';
import { createServer, build as viteBuild } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { browserBuild } from '../../../packages/core/browser.build.ts';
import { launchChromium } from '../../helpers/chromium.ts';
import { codeUnder, installElfin } from '../../helpers/installed.ts';
import { serveSite } from '../../helpers/site.ts';

const run = promisify(execFile);
const DOCS = 'docs/browser.md';
const PHOTO = new URL('../../fixtures/images/p3.jpg', import.meta.url).pathname;
let browser: Browser;
let app: Awaited<ReturnType<typeof installElfin>>;

beforeAll(async () => {
  [browser, app] = await Promise.all([launchChromium(), installElfin()]);
});
afterAll(async () => {
  await browser?.close();
  await app?.[Symbol.asyncDispose]();
});

// SwiftShader would take minutes where wasm takes a second: these are about files, not about WebGPU.
const onWasm = (code: string) => code.replace('createRestorer({', "createRestorer({ device: 'wasm',");

/** Chooses a photo in the ten lines' page and waits for the result. */
async function restoresPhoto(url: string): Promise<void> {
  const page = await browser.newPage();
  await page.goto(url);
  await page.setInputFiles('input', PHOTO);
  await page.waitForFunction(() => {
    const { width, height } = document.querySelector('canvas')!;
    return width !== 300 || height !== 150;
  });
  const colours = await page.evaluate(() => {
    const canvas = document.querySelector('canvas')!;
    return new Set(canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height).data).size;
  });
  expect(colours).toBeGreaterThan(16);
  await page.close();
}

describe('the recipes of docs/browser.md, with the packages as npm would publish them', () => {
  test('Vite, without configuration', async () => {
    await writeFile(
      `${app.folder}/index.html`,
      '<!doctype html><body></body><script type="module" src="/main.js"></script>',
    );
    await writeFile(`${app.folder}/main.js`, onWasm(await codeUnder(DOCS, 'Ten lines for an empty Vite app', 'js')));
    await viteBuild({ root: app.folder, logLevel: 'error', configFile: false });
    await using site = await serveSite({ '/': [`${app.folder}/dist`] });
    await restoresPhoto(site.url);
  });

  test('Vite’s development server, with the one setting', async () => {
    const exclude = JSON.parse(
      (await readFile(new URL(`../../../${DOCS}`, import.meta.url), 'utf8'))
        .match(/exclude: (\[.*?\])/)![1]!
        .replaceAll("'", '"'),
    );
    const server = await createServer({
      root: app.folder,
      configFile: false,
      logLevel: 'error',
      optimizeDeps: { exclude },
      server: { host: '127.0.0.1', port: 0 },
    });
    await server.listen();
    await restoresPhoto(server.resolvedUrls!.local[0]!);
    await server.close();
  });

  test('without a bundler: files copied beside the page', async () => {
    // What is installed already need not be fetched.
    const copy = (await codeUnder(DOCS, 'Without a bundler', 'sh')).replace(/^npm install .*$/m, '');
    await run('bash', ['-euc', copy], { cwd: app.folder });
    await cp(PHOTO, `${app.folder}/photo.jpg`);
    const html = onWasm(await codeUnder(DOCS, 'Without a bundler', 'html'));
    await writeFile(`${app.folder}/plain.html`, `<!doctype html><html lang="en"><title>Plain</title>${html}</html>`);
    await using site = await serveSite({ '/': [app.folder] });
    const page = await browser.newPage();
    await page.goto(`${site.url}plain.html`);
    await page.getByRole('slider', { name: 'Before and after' }).waitFor();
    expect(site.asked.filter((path) => path !== '/favicon.ico' && !/^\/(elfin\/|plain|photo)/.test(path))).toEqual([]);
    await page.close();
  });

  test('esbuild, with copied files', async () => {
    await writeFile(`${app.folder}/app.js`, onWasm(await codeUnder(DOCS, 'esbuild', 'js')));
    await bundle({
      entryPoints: [`${app.folder}/app.js`],
      outfile: `${app.folder}/out/app.bundle.js`,
      bundle: true,
      format: 'esm',
      logLevel: 'silent',
    });
    await using site = await serveSite({ '/': [app.folder] });
    const page = await browser.newPage();
    await page.goto(`${site.url}nothing`);
    await page.addScriptTag({ type: 'module', url: '/out/app.bundle.js' });
    await page.waitForFunction(() => 'restorer' in globalThis);
    const backend = await page.evaluate(() => window.restorer.warmup({ task: 'derain' }));
    expect(backend).toMatchObject({ provider: 'wasm' });
    await page.close();
  });
});

describe('size', () => {
  // Raised only in the commit that costs it, with the reason.
  // web.js is what a page's own bundle grows by; the worker's script is loaded beside it, off the page's thread.
  const CEILINGS: Readonly<Record<string, number>> = { 'web.js': 7_250, 'element.js': 3_250, 'web-worker.js': 45_500 };

  test('bytes after gzip, without onnxruntime-web; nothing of Node', async () => {
    const { outputFiles, metafile } = await bundle({ ...browserBuild, outdir: 'out', write: false, metafile: true });
    for (const { path, contents, text } of outputFiles) {
      const name = path.split('/').at(-1)!;
      expect(gzipSync(contents, { level: 9 }).length, name).toBeLessThanOrEqual(CEILINGS[name]!);
      expect(text).not.toMatch(/["']node:/);
    }
    expect(outputFiles).toHaveLength(Object.keys(CEILINGS).length);
    const foreign = Object.keys(metafile.inputs).filter((path) => /onnxruntime|sharp|\/node-/.test(path));
    expect(foreign).toEqual([]);
  });
});
