import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unzipSync } from 'fflate';
import type { Browser, Page } from 'playwright-core';
import sharp from 'sharp';
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
/** Asked for before anything was touched. */
let before: string[];

/** Chooses what to remove, also while that is out of sight. */
const remove = (task: string, where = page) =>
  where.locator(`[name=task][value=${task}]`).evaluate((input: HTMLInputElement) => input.click());

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-demo-'));
  [browser] = await Promise.all([launchChromium(), buildDemo(folder)]);
  site = await serveSite({ '/': [folder] });
  page = await browser.newPage({ viewport: { width: 390, height: 844 } });
  await page.goto(`${site.url}?device=wasm`);
  await page.waitForLoadState('load');
  await page.waitForTimeout(1000);
  before = [...site.asked];
  await page.mouse.click(2, 2);
  await page.locator('#backend', { hasText: 'Runs on your CPU' }).waitFor();
});
afterAll(async () => {
  await browser?.close();
  await site?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('nothing is fetched for somebody who only looks', () => {
  expect(before).toContain('/app.js');
  expect(before.filter((path) => /wasm|safetensors|elfin\/|service-worker|samples/.test(path))).toEqual([]);
});

test('a photo in which nothing is found is left alone, another task is a click away', async () => {
  await page.setInputFiles('#file', join(FIXTURES, 'p3.jpg'));
  // Whoever cannot see the page is taken along to what is shown now.
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Your photo');
  await page.locator('#nothing', { hasText: /Nothing was found that needs restoring \(\d+ % sure\)/ }).waitFor();
  expect(await page.locator('#save').isDisabled()).toBe(true);
  expect(await page.getByRole('slider', { name: 'Before and after' }).count()).toBe(0);
  await page.getByRole('button', { name: 'Remove rain' }).click();
  await page.locator('#save:enabled').waitFor();
  expect(await page.textContent('#timing')).toMatch(/\d+ × \d+.* s on WebAssembly/);
  expect(await page.locator('[name=task][value=derain]').isChecked()).toBe(true);
  // What was found before is still known.
  await remove('auto');
  await page.locator('#nothing').waitFor();
  await remove('derain');
  await page.locator('#save:enabled').waitFor({ timeout: 2000 });
});

test('the result is compared by keyboard, zoomed, mixed, and downloaded as asked', async () => {
  const handle = page.getByRole('slider', { name: 'Before and after' });
  await handle.focus();
  await page.keyboard.press('End');
  expect(await handle.inputValue()).toBe('100');
  await page.locator('#stage').focus();
  const width = () => page.locator('#stage canvas').evaluate((canvas) => canvas.getBoundingClientRect().width);
  const fitting = await width();
  await page.keyboard.press('+');
  expect(await width()).toBeGreaterThan(fitting * 1.3);
  await page.keyboard.press('0');
  expect(await width()).toBe(fitting);
  await page.getByRole('slider', { name: 'Strength' }).fill('50');
  expect(await page.locator('#stage canvas').evaluate((canvas) => canvas.style.opacity)).toBe('0.5');
  await page.getByText('File: format').click();
  await page.getByLabel('Format').selectOption('webp');
  await page.getByLabel('Size').selectOption('1080');
  const [saved] = await Promise.all([page.waitForEvent('download'), page.click('#save')]);
  expect(saved.suggestedFilename()).toBe('p3-restored.webp');
  const { format, width: wide } = await sharp(await readFile(await saved.path())).metadata();
  expect(format).toBe('webp');
  expect(wide).toBeLessThanOrEqual(1080);
});

test('several photos are a queue, of which all that were restored come as one file', async () => {
  await page.click('#again');
  await page.locator('#start:visible').waitFor();
  await remove('derain');
  const names = ['grey.jpg', 'noise.bin', 'metadata.jpg'];
  await page.setInputFiles(
    '#file',
    names.map((name) => join(FIXTURES, name)),
  );
  const strip = page.locator('#strip button');
  await page.locator('#zip:visible').waitFor();
  await expect.poll(async () => (await strip.allTextContents()).at(-1)).toBe('metadata.jpg: restored');
  expect((await strip.allTextContents()).slice(-2)[0]).toBe('noise.bin: failed');
  const [saved] = await Promise.all([page.waitForEvent('download'), page.click('#zip')]);
  const entries = Object.keys(unzipSync(new Uint8Array(await readFile(await saved.path()))));
  expect(entries).toEqual(expect.arrayContaining(['grey-restored.webp', 'metadata-restored.webp']));
  await strip.nth(-2).click();
  await page.locator('#message', { hasText: 'no image format' }).waitFor();
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
  await page.click('[data-sample=rain]');
  await page.locator('#progress', { hasText: /Restoring: \d+ %, about .* left/ }).waitFor();
  // Two reports come of two tiles; in between it moves all the same.
  const seen = new Set<string>();
  await expect
    .poll(async () => seen.add((await page.textContent('#progress'))!).size, { timeout: 60_000 })
    .toBeGreaterThan(2);
  await page.click('#stop');
  await page.locator('#message', { hasText: 'Stopped' }).waitFor();
  await page.locator('#retry:visible').waitFor();
  await page.goBack();
  await page.locator('#start:visible').waitFor();
  expect(await page.locator('#message').isVisible()).toBe(false);
});

test('a photo that is pasted is restored; what is no photo is told', async () => {
  await remove('derain');
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
  // A headless shell never asks for permission: what the browser would answer is put in its place.
  const asked = await page.evaluateHandle(() => {
    const seen: MediaStreamConstraints[] = [];
    navigator.mediaDevices.getUserMedia = async (constraints = {}) => {
      seen.push(constraints);
      if (seen.length > 1) throw new DOMException('Permission denied', 'NotAllowedError');
      const scene = Object.assign(document.createElement('canvas'), { width: 640, height: 480 });
      const brush = scene.getContext('2d')!;
      const draw = () => {
        brush.fillStyle = `rgb(${200 + Math.random()} 120 40)`;
        brush.fillRect(0, 0, 640, 480);
        requestAnimationFrame(draw);
      };
      draw();
      return scene.captureStream();
    };
    return seen;
  });
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
  expect(await page.evaluate(() => document.querySelector('video')!.srcObject)).toBe(null);
  const taken = await page.locator('#stage img').evaluate(async (image: HTMLImageElement) => {
    await image.decode();
    const brush = new OffscreenCanvas(image.naturalWidth, image.naturalHeight).getContext('2d')!;
    brush.drawImage(image, 0, 0);
    return { side: image.naturalWidth, colour: [...brush.getImageData(320, 240, 1, 1).data] };
  });
  expect(taken.side).toBe(640);
  // What the camera sees, but for what a video frame and JPEG round.
  for (const [at, level] of [200, 120, 40].entries()) expect(Math.abs(taken.colour[at]! - level)).toBeLessThan(12);
  await page.click('#again');

  await page.click('#camera');
  await page.locator('#message', { hasText: 'may not use the camera' }).waitFor();
  expect(await page.locator('#start').isVisible()).toBe(true);
  expect(await asked.jsonValue()).toEqual(
    Array(2).fill({ video: expect.objectContaining({ facingMode: 'environment' }) }),
  );
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
  expect(await page.locator('#save').isDisabled()).toBe(true);
  await page.click('#again');
});

test('it has what browsers ask of a page that can be installed: a manifest, an icon, a service worker over both', async () => {
  const found = await page.evaluate(async () => {
    const link = document.querySelector<HTMLLinkElement>('link[rel=manifest]')!;
    const answer = await fetch(link.href);
    const manifest = await answer.json();
    const address = (relative: string) => new URL(relative, link.href).href;
    const icons = (manifest.icons as { src: string; sizes: string; type: string; purpose?: string }[]).map(
      async ({ src, ...icon }) => {
        const image = Object.assign(new Image(), { src: address(src) });
        await image.decode();
        const { headers } = await fetch(image.src);
        return { ...icon, served: headers.get('content-type')?.split(';')[0], width: image.naturalWidth };
      },
    );
    const { active, scope } = await navigator.serviceWorker.ready;
    return {
      type: answer.headers.get('content-type')?.split(';')[0],
      manifest,
      icons: await Promise.all(icons),
      start: (await fetch(address(manifest.start_url))).status,
      covered: address(manifest.start_url).startsWith(scope) && location.href.startsWith(scope),
      worker: active?.state,
    };
  });
  const { manifest, icons, ...rest } = found;
  expect(rest).toEqual({ type: 'application/manifest+json', start: 200, covered: true, worker: 'activated' });
  // https://web.dev/articles/install-criteria; an SVG of any size stands for 192 and 512 pixels.
  expect(manifest).toMatchObject({ name: expect.stringMatching(/./), short_name: expect.stringMatching(/^.{1,12}$/) });
  expect(manifest.display).toMatch(/^(fullscreen|standalone|minimal-ui)$/);
  expect(manifest.prefer_related_applications ?? false).toBe(false);
  const [icon] = icons;
  expect(icon).toMatchObject({ sizes: 'any', type: 'image/svg+xml', purpose: 'any', served: 'image/svg+xml' });
  expect(icon?.width).toBeGreaterThan(0);
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
  await other.mouse.click(2, 2);
  await other.locator('#message', { hasText: /broke off.*try again/ }).waitFor();
  site.handler = undefined;
  await remove('derain', other);
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
  await other.mouse.click(2, 2);
  await other.locator('#message', { hasText: /storage for this site is full.*Everything else works/ }).waitFor();
  await other.locator('#backend', { hasText: 'Runs on your CPU' }).waitFor();
  await remove('derain', other);
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
  await page.mouse.click(2, 2);
  await page.locator('#backend', { hasText: 'Runs on your CPU' }).waitFor();
  await remove('derain');
  await page.setInputFiles('#file', join(FIXTURES, 'p3.jpg'));
  await page.locator('#save:enabled').waitFor();
  await remove('lowlight');
  await page.locator('#timing', { hasText: ' s on WebAssembly' }).waitFor();
});
