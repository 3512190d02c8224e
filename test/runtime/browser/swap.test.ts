import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseTransform } from '@elfin/edge';
import { type Server, serve } from '@elfin/edge/node';
import { createModels } from '@elfin/models/node';
import { build } from 'esbuild';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchChromium } from '../../helpers/chromium.ts';
import { type Site, serveSite } from '../../helpers/site.ts';

const CLIENT = fileURLToPath(new URL('../../../packages/core/src/web/page/client.ts', import.meta.url));
const PHOTO = fileURLToPath(new URL('../../fixtures/images/rgb.jpg', import.meta.url));

const SCRIPT =
  '<script type="module">import { swapRestored } from "/client.js"; window.swapRestored = swapRestored;</script>';

let folder = '';
let browser: Browser;
let site: Site;
let server: Server;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-swap-'));
  await Promise.all([mkdir(join(folder, 'photos')), mkdir(join(folder, 'site'))]);
  await cp(PHOTO, join(folder, 'photos/rain.jpg'));
  const outfile = join(folder, 'site/client.js');
  await build({ entryPoints: [CLIENT], outfile, bundle: true, format: 'esm', conditions: ['@elfin/source'] });
  [browser, site] = await Promise.all([launchChromium(), serveSite({ '/': [join(folder, 'site')] })]);
  server = await serve({
    port: 0,
    root: join(folder, 'photos'),
    models: createModels(),
    env: {
      ELFIN_URL_KEYS: `k1:${'0d'.repeat(32)}`,
      ELFIN_STORE: join(folder, 'results'),
      // Nobody waits: the first answer is an interim one, or whatever the URL asks for.
      ELFIN_SYNC_WAIT_MS: '0',
      ELFIN_CORS_ORIGINS: new URL(site.url).origin,
    },
  });
});
afterAll(async () => {
  await browser?.close();
  await Promise.all([site?.stop(), server?.close()]);
  await rm(folder, { recursive: true, force: true });
});

async function signed(options: string, source = 'rain.jpg'): Promise<string> {
  return server.url + (await server.edge.signer?.sign(parseTransform(`${options}/${source}`)));
}

/** A page of another origin with images of the edge. */
async function open(body: string): Promise<Page> {
  site.handler = (_, response, path) => {
    if (path !== '/') return false;
    response.writeHead(200, { 'content-type': 'text/html' }).end(`<!doctype html><title>Swap</title>${body}${SCRIPT}`);
    return true;
  };
  const page = await browser.newPage();
  await page.goto(site.url, { waitUntil: 'load' });
  return page;
}

/** What an image shows, as the colours of its middle. */
const shown = (page: Page, id: string) =>
  page.evaluate((name) => {
    const image = document.getElementById(name) as HTMLImageElement;
    const canvas = Object.assign(document.createElement('canvas'), { width: 8, height: 8 });
    const context = canvas.getContext('2d') as CanvasRenderingContext2D;
    context.drawImage(image, 0, 0, 8, 8);
    const { data } = context.getImageData(0, 0, 8, 8);
    return { blob: image.src.startsWith('blob:'), width: image.naturalWidth, pixels: [...data].join() };
  }, id);

const swap = async (page: Page) => {
  await page.waitForFunction(() => 'swapRestored' in window);
  await page.evaluate(() => (window as unknown as { swapRestored(root: Document): void }).swapRestored(document));
};

const swapped = (page: Page, ...ids: string[]) =>
  page.waitForFunction(
    (names) => names.every((id) => (document.getElementById(id) as HTMLImageElement).src.startsWith('blob:')),
    ids,
    { timeout: 60_000 },
  );

test('interim, locked and accepted images become the restored one, in <picture> and srcset too; a refused one stays', async () => {
  const [interim, locked, accepted, set] = await Promise.all([
    signed('restore=derain,width=40,format=png'),
    signed('restore=derain,width=41,format=png,pending=423'),
    signed('restore=derain,width=42,format=png,pending=202'),
    signed('restore=derain,width=43,format=png'),
  ]);
  const forged = interim.replace('width=40', 'width=44');
  const image = (id: string, url: string) => `<img id="${id}" data-elfin crossorigin="anonymous" src="${url}">`;
  const page = await open(
    `${image('interim', interim)}${image('locked', locked)}${image('accepted', accepted)}${image('forged', forged)}
    <picture><source srcset="${set} 1x"><img id="set" data-elfin crossorigin="anonymous" srcset="${set} 1x" src="${set}"></picture>
    <img id="other" crossorigin="anonymous" src="${interim}">`,
  );
  const before = await shown(page, 'interim');
  expect([before.blob, before.width]).toEqual([false, 40]);
  await swap(page);
  await swapped(page, 'interim', 'locked', 'accepted', 'set');
  const after = await shown(page, 'interim');
  expect([after.blob, after.width]).toEqual([true, 40]);
  // The network changed the picture, and the page shows that and not the source.
  expect(after.pixels).not.toBe(before.pixels);
  expect((await shown(page, 'locked')).width).toBe(41);
  expect((await shown(page, 'accepted')).width).toBe(42);
  expect((await shown(page, 'set')).width).toBe(43);
  expect((await shown(page, 'other')).blob).toBe(false);
  expect(await page.getAttribute('#forged', 'src')).toBe(forged);
  await page.close();
});

test('an interim image that was loaded before is swapped even if the result is there by the time of asking', async () => {
  const url = await signed('restore=derain,width=50,format=png');
  const page = await open(`<img id="late" data-elfin crossorigin="anonymous" src="${url}">`);
  const before = await shown(page, 'late');
  await expect.poll(async () => (await fetch(url)).headers.get('restore-status'), { timeout: 60_000 }).toBe('restored');
  await swap(page);
  await swapped(page, 'late');
  expect((await shown(page, 'late')).pixels).not.toBe(before.pixels);
  await page.close();
});
