import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Server, serve } from '@elfin/edge/node';
import { createModels } from '@elfin/models/node';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { violations } from '../../helpers/axe.ts';
import { launchChromium } from '../../helpers/chromium.ts';

const IMAGES = fileURLToPath(new URL('../../fixtures/images/', import.meta.url));
let folder = '';
let browser: Browser;
let server: Server;
let page: Page;
const faults: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-playground-'));
  await mkdir(join(folder, 'photos'));
  for (const name of ['rgb.jpg', 'truncated.jpg']) await cp(join(IMAGES, name), join(folder, 'photos', name));
  server = await serve({
    port: 0,
    root: join(folder, 'photos'),
    models: createModels(),
    env: { ELFIN_URL_KEYS: `k1:${'0e'.repeat(32)}`, ELFIN_STORE: join(folder, 'results'), ELFIN_SYNC_WAIT_MS: '0' },
    edge: { dev: true },
  });
  browser = await launchChromium();
  page = await browser.newPage({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce' });
  page.on('pageerror', (error) => faults.push(error.message));
  await page.goto(server.url);
});
afterAll(async () => {
  await browser?.close();
  await server?.close();
  await rm(folder, { recursive: true, force: true });
});

const status = (text: RegExp) => page.locator('#status', { hasText: text }).waitFor({ timeout: 60_000 });

test('it opens on a photo of the folder, past the interim image, and says what was done', async () => {
  await status(/Done/);
  expect(await page.inputValue('[name=source]')).toBe('rgb.jpg');
  expect(await page.locator('.samples button').count()).toBe(2);
  const facts = await page.textContent('dl');
  expect(facts).toContain('restored');
  expect(facts).toMatch(/Modelderain-lw/);
  expect(await page.textContent('.url code')).toContain(`${server.url}/i/restore=derain/rgb.jpg?kid=k1&sig=`);
  const colours = await page.evaluate(() =>
    [...document.querySelectorAll<HTMLImageElement>('.compare img')].map((image) => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 8, height: 8 });
      const context = canvas.getContext('2d') as CanvasRenderingContext2D;
      context.drawImage(image, 0, 0, 8, 8);
      return [...context.getImageData(0, 0, 8, 8).data].join();
    }),
  );
  expect(colours[0]).not.toBe(colours[1]);
});

test('the handle parts before from after by keyboard', async () => {
  const handle = page.getByRole('slider', { name: 'Before and after' });
  await handle.focus();
  await page.keyboard.press('Home');
  expect(await handle.getAttribute('aria-valuetext')).toBe('0% of the photo as it was, the rest as asked');
  expect(await page.locator('.compare').evaluate((one: HTMLElement) => one.style.getPropertyValue('--cut'))).toBe('0%');
});

test('what is shown is copied as an address, as <img>, for curl and for the SDK', async () => {
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  const url = await page.textContent('.url code');
  const copied: string[] = [];
  for (const as of ['url', 'img', 'curl', 'sdk']) {
    await page.getByLabel('Copy as').selectOption(as);
    await page.click('#copy');
    await page.locator('#copy', { hasText: 'Copied' }).waitFor();
    copied.push(await page.evaluate(() => navigator.clipboard.readText()));
    await page.locator('#copy', { hasText: /^Copy$/ }).waitFor();
  }
  expect(copied.slice(0, 3)).toEqual([
    url,
    `<img src="${url!.replaceAll('&', '&amp;')}" alt="">`,
    `curl -o restored '${url}'`,
  ]);
  expect(copied[3]).toMatch(/createRestorer[\s\S]*restoreFile\("rgb\.jpg", 'restored\.jpg', \{ task: 'derain' \}\)/);
  expect(await page.getByRole('slider', { name: 'strength' }).count()).toBe(1);
});

test('every option of the table is there, and a change asks anew', async () => {
  const names = await page.evaluate(() => [
    ...new Set([...document.forms[0]!.elements].map((one) => (one as HTMLInputElement).name)),
  ]);
  const { OPTION_NAMES } = await import('@elfin/edge');
  expect(names).toEqual(expect.arrayContaining([...OPTION_NAMES]));
  await page.fill('[name=width]', '30');
  await page.selectOption('[name=format]', 'png');
  await page.check('[name=restore][value=none]', { force: true });
  await page.locator('dl', { hasText: /Result\s*30 × \d+ · png/ }).waitFor();
  await status(/Done/);
  expect(await page.textContent('.url code')).toContain('restore=none,width=30,format=png');
  await page.selectOption('[name=format]', 'json');
  await page.locator('pre', { hasText: '"format": "jpeg"' }).waitFor();
  await page.selectOption('[name=format]', '');
});

test.each([
  ['truncated.jpg', /422 IMAGE_TRUNCATED/],
  ['none.jpg', /404 SOURCE_MISSING/],
  ['http://[', /source/],
])('%s is refused in words', async (source, words) => {
  await page.fill('[name=source]', source);
  await page.keyboard.press('Enter');
  await status(words);
});

test('it fits a phone, axe finds nothing, light and dark, and no script failed', async () => {
  await page.click('.samples button >> nth=0');
  await status(/Done/);
  // Made before: nothing is told of a time that this did not take.
  expect(await page.textContent('dl')).not.toMatch(/hit/);
  for (const [width, colorScheme] of [
    [1280, 'light'],
    [390, 'dark'],
  ] as const) {
    await page.setViewportSize({ width, height: 844 });
    await page.emulateMedia({ colorScheme });
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    expect(await violations(page)).toEqual([]);
  }
  expect(faults).toEqual([]);
});
