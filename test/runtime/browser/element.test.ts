import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { violations } from '../../helpers/axe.ts';
import { launchChromium } from '../../helpers/chromium.ts';
import { buildElfin, type Site, serveSite } from '../../helpers/site.ts';

const FIXTURES = fileURLToPath(new URL('../../fixtures/images/', import.meta.url));
const PAGE = `<!doctype html><html lang="en"><title>Element</title>
<main><h1>Element</h1>
<img id="plain" src="/images/p3.jpg" alt="Colours">
<elfin-image src="/images/p3.jpg" task="derain" alt="The same" compare></elfin-image>
<elfin-image id="broken" src="/images/noise.bin" task="derain" alt="Nothing"></elfin-image></main>
<script type="module">
  import { createRestorer, fetchModels } from '/elfin/web.js';
  import { defineElfinImage, restoreElement } from '/elfin/element.js';
  const restorer = createRestorer({ models: fetchModels('/elfin/models'), assets: '/elfin', device: 'wasm' });
  window.events = [];
  for (const type of ['elfin-done', 'elfin-error']) {
    addEventListener(type, ({ detail }) => events.push([type, detail.code ?? detail.report.task]));
  }
  defineElfinImage(restorer);
  window.place = restoreElement(document.querySelector('#plain'), { restorer, task: 'derain' });
</script></html>`;
let browser: Browser;
let built: Awaited<ReturnType<typeof buildElfin>>;
let site: Site;

beforeAll(async () => {
  [browser, built] = await Promise.all([launchChromium(), buildElfin()]);
  site = await serveSite({ ...built.folders, '/images/': [FIXTURES] });
  site.handler = (_, response, path) => {
    if (path !== '/') return false;
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(PAGE);
    return true;
  };
});
afterAll(async () => {
  await browser?.close();
  await site?.stop();
  await built?.[Symbol.asyncDispose]();
});

test('an element and a picture in place are restored, a handle parts before from after, failures are said', async () => {
  const page = await browser.newPage();
  await page.goto(site.url);
  await page.waitForFunction(() => (window as unknown as { events: unknown[] }).events.length === 2);
  const events = await page.evaluate(() => (window as unknown as { events: string[][] }).events);
  expect(events.toSorted()).toEqual([
    ['elfin-done', 'derain'],
    ['elfin-error', 'INPUT_UNREADABLE'],
  ]);
  expect(await page.locator('#broken [part=status]').textContent()).toMatch(/not loaded or is broken/);

  const handles = page.getByRole('slider', { name: 'Before and after' });
  await expect.poll(() => handles.count(), { timeout: 30_000 }).toBe(2);
  await handles.first().focus();
  await page.keyboard.press('Home');
  expect(await handles.first().getAttribute('aria-valuetext')).toBe('0% of the photo as it was, the rest restored');
  // By pointer: what is dragged is the handle, the rest of the picture stays the page's.
  const { x, y, width, height } = (await page.locator('elfin-image canvas').first().boundingBox())!;
  await page.mouse.move(x + width / 2, y + height / 3);
  await page.mouse.down();
  await page.mouse.move(x + width / 4, y + height / 3, { steps: 4 });
  await page.mouse.up();
  expect(Number(await page.locator('elfin-image input').first().inputValue())).toBeCloseTo(25, -1);
  expect(await page.getByRole('img', { name: 'Colours' }).count()).toBe(1);

  expect(await violations(page)).toEqual([]);
  const motion = () =>
    page.locator('main > elfin-overlay canvas').evaluate((canvas) => getComputedStyle(canvas).animationName);
  await page.emulateMedia({ reducedMotion: 'no-preference' });
  expect(await motion()).toBe('elfin-in');
  await page.emulateMedia({ reducedMotion: 'reduce' });
  expect(await motion()).toBe('none');

  await page.evaluate(() => (window as unknown as { place: { remove(): void } }).place.remove());
  expect(await page.locator('main > img#plain').count()).toBe(1);
  expect(await handles.count()).toBe(1);
  await page.close();
});
