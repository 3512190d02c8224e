import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildDemo } from '../../../apps/demo/build.ts';
import { violations } from '../../helpers/axe.ts';
import { launchChromium } from '../../helpers/chromium.ts';
import { blackPng } from '../../helpers/photos.ts';
import { type Site, serveSite } from '../../helpers/site.ts';

const FIXTURES = new URL('../../fixtures/images/', import.meta.url).pathname;
let browser: Browser;
let folder: string;
let site: Site;
let page: Page;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-demo-'));
  [browser] = await Promise.all([launchChromium(), buildDemo(folder)]);
  site = await serveSite({ '/': [folder] });
  page = await browser.newPage({ viewport: { width: 390, height: 844 } });
  await page.goto(`${site.url}?device=wasm`);
  await page.locator('#backend', { hasText: 'Runs on your CPU' }).waitFor();
});
afterAll(async () => {
  await browser?.close();
  await site?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('a photo is restored, compared by keyboard, and downloaded', async () => {
  await page.setInputFiles('#file', join(FIXTURES, 'p3.jpg'));
  // Whoever cannot see the page is taken along to what is shown now.
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Your photo');
  await page.locator('#save:enabled').waitFor();
  // A clean photo is left alone; what to remove may be chosen all the same.
  expect(await page.textContent('#timing')).toContain('Nothing was found');
  await page.selectOption('#task', 'derain');
  await page.locator('#timing', { hasText: ' s on ' }).waitFor();
  expect(await page.textContent('#timing')).toMatch(/\d+ × \d+.* s on WebAssembly/);
  const handle = page.getByRole('slider', { name: 'Before and after' });
  await handle.focus();
  await page.keyboard.press('End');
  expect(await handle.inputValue()).toBe('100');
  await page.locator('#strength').fill('50');
  expect(await page.locator('#stage canvas').evaluate((canvas) => canvas.style.opacity)).toBe('0.5');
  const [saved] = await Promise.all([page.waitForEvent('download'), page.click('#save')]);
  expect(saved.suggestedFilename()).toBe('p3-restored.jpg');
});

test('nothing reaches beyond a phone’s width, and axe finds no violations, light and dark, before and after', async () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    expect(await violations(page)).toEqual([]);
  }
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  await page.click('#again');
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    expect(await violations(page)).toEqual([]);
  }
});

/** A file as it is pasted or dropped. */
async function bring(type: 'paste' | 'drop', name: string, bytes?: Buffer): Promise<void> {
  const encoded = (bytes ?? (await readFile(join(FIXTURES, name)))).toString('base64');
  await page.evaluate(
    async ([kind, file, base64]) => {
      const blob = await (await fetch(`data:application/octet-stream;base64,${base64}`)).blob();
      const carried = new DataTransfer();
      carried.items.add(new File([blob], file));
      const init = { bubbles: true, cancelable: true };
      const event =
        kind === 'paste'
          ? new ClipboardEvent(kind, { ...init, clipboardData: carried })
          : new DragEvent(kind, { ...init, dataTransfer: carried });
      document.body.dispatchEvent(event);
    },
    [type, name, encoded] as const,
  );
}

test('the sample can be stopped while it is worked on', async () => {
  await page.click('#sample');
  await page.locator('#stage [role=status][data-busy]').waitFor();
  await page.click('#stop');
  await page.locator('#start:visible').waitFor();
  expect(await page.locator('#message').isVisible()).toBe(false);
});

test('a photo that is pasted is restored; what is no photo is told', async () => {
  await bring('paste', 'p3.jpg');
  await page.locator('#save:enabled').waitFor();
  await page.click('#again');
  await page.evaluate(() => {
    const clipboardData = new DataTransfer();
    clipboardData.setData('text/plain', 'https://example.com/photo.jpg');
    document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true }));
  });
  await page.locator('#message', { hasText: 'The clipboard holds no photo' }).waitFor();
});

test('the camera: allowed it gives a photo and is let go, refused it says so', async () => {
  await page.context().grantPermissions(['camera']);
  await page.click('#camera');
  const viewfinder = page.getByRole('dialog', { name: 'Camera' });
  await viewfinder.waitFor();
  expect(await violations(page)).toEqual([]);
  const track = await page.evaluateHandle(
    () => (document.querySelector('video')!.srcObject as MediaStream).getTracks()[0]!,
  );
  await viewfinder.getByRole('button', { name: 'Take the photo' }).click();
  await page.locator('#stage img').waitFor();
  expect(await track.evaluate(({ readyState }) => readyState)).toBe('ended');
  expect(await page.locator('#stage img').evaluate((image: HTMLImageElement) => image.naturalWidth)).toBeGreaterThan(
    100,
  );
  await page.click('#again');

  await page.context().clearPermissions();
  await page.context().grantPermissions([]);
  await page.click('#camera');
  await page.locator('#message', { hasText: 'may not use the camera' }).waitFor();
  expect(await page.locator('#start').isVisible()).toBe(true);
});

test('a drop of 108 megapixels is refused before anything decodes it, and the page goes on', async () => {
  const decodes = await page.evaluateHandle(() => {
    const seen: string[] = [];
    const { decode } = HTMLImageElement.prototype;
    HTMLImageElement.prototype.decode = function () {
      seen.push(this.src);
      return decode.call(this);
    };
    return seen;
  });
  await bring('drop', 'huge.png', blackPng(12_000, 9_000));
  await page.locator('#message', { hasText: /12000 × 9000.*pixels allowed/ }).waitFor();
  expect(await decodes.jsonValue()).toEqual([]);
  await bring('drop', 'p3.jpg');
  await page.locator('#save:enabled').waitFor();
  expect(await page.locator('#message').isVisible()).toBe(false);
  await page.click('#again');
});

test.each([
  ['header-only.jpg', /ends|cut|truncated|incomplete/i],
  ['hevc.heic', /convert it to JPEG/],
])('%s is refused in words, and the page goes on', async (name, words) => {
  await page.setInputFiles('#file', join(FIXTURES, name));
  await page.locator('#message:visible').waitFor();
  expect(await page.textContent('#message')).toMatch(words);
  expect(await page.locator('#start').isVisible()).toBe(true);
});

test('it can be installed', async () => {
  const session = await page.context().newCDPSession(page);
  const { installabilityErrors } = await session.send('Page.getInstallabilityErrors');
  // Playwright's contexts are private windows, in which nothing is installed.
  expect(installabilityErrors.map(({ errorId }) => errorId)).toEqual(['in-incognito']);
});

test('a network lost half-way through the weights is told, and the next try works', async () => {
  const context = await browser.newContext({ serviceWorkers: 'block' });
  const other = await context.newPage();
  site.handler = (_, response, path) => {
    if (!path.endsWith('weights.safetensors')) return false;
    response.writeHead(200, { 'content-length': 1_000_000 });
    response.write(new Uint8Array(300_000), () => response.destroy());
    return true;
  };
  await other.goto(`${site.url}?device=wasm`);
  await other.locator('#message', { hasText: /broke off.*try again/ }).waitFor();
  site.handler = undefined;
  await other.setInputFiles('#file', join(FIXTURES, 'p3.jpg'));
  await other.locator('#save:enabled').waitFor();
  expect(await other.locator('#message').isVisible()).toBe(false);
  await context.close();
});

test('full storage is told, and costs nothing but the next visit offline', async () => {
  const context = await browser.newContext({ serviceWorkers: 'block' });
  const other = await context.newPage();
  const session = await context.newCDPSession(other);
  await session.send('Storage.overrideQuotaForOrigin', { origin: new URL(site.url).origin, quotaSize: 100_000 });
  await other.goto(`${site.url}?device=wasm`);
  await other.locator('#message', { hasText: /storage for this site is full.*Everything else works/ }).waitFor();
  await other.locator('#backend', { hasText: 'Runs on your CPU' }).waitFor();
  await other.setInputFiles('#file', join(FIXTURES, 'p3.jpg'));
  await other.locator('#save:enabled').waitFor();
  await context.close();
});

test('after the first visit it works without a network', async () => {
  await page.evaluate(() => navigator.serviceWorker.ready);
  const kept = () => page.evaluate(async () => (await (await caches.open('elfin-models')).keys()).length);
  await expect.poll(kept).toBe(3);
  await page.context().setOffline(true);
  await site.stop();
  await page.reload();
  await page.locator('#backend', { hasText: 'Runs on your CPU' }).waitFor();
  await page.setInputFiles('#file', join(FIXTURES, 'p3.jpg'));
  await page.locator('#save:enabled').waitFor();
  await page.selectOption('#task', 'lowlight');
  await page.locator('#timing', { hasText: ' s on WebAssembly' }).waitFor();
});
