import { createNodeRuntime, createRestorer } from '@elfin/core/node';
import { createModels } from '@elfin/models/node';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchChromium } from '../../helpers/chromium.ts';
import { apart, noise } from '../../helpers/pictures.ts';
import { buildElfin, type Site, serveSite } from '../../helpers/site.ts';

// On SwiftShader, a GPU in software: what takes wasm milliseconds takes it tens of seconds, so there is one small tile.
const [WIDTH, HEIGHT] = [32, 16];
const IMAGE = noise(WIDTH, HEIGHT);
const SETUP = `
  import * as elfin from '/elfin/web.js';
  window.elfin = elfin;
  window.open = (device) => elfin.createRestorer({ models: elfin.fetchModels('/elfin/models'), assets: '/elfin', device });
  window.pixels = (width, height, data) => ({ width, height, channels: 3, data: Uint8Array.from(data) });
`;
let browser: Browser;
let built: Awaited<ReturnType<typeof buildElfin>>;
let site: Site;

beforeAll(async () => {
  [browser, built] = await Promise.all([launchChromium(), buildElfin()]);
  site = await serveSite(built.folders);
});
afterAll(async () => {
  await browser?.close();
  await site?.stop();
  await built?.[Symbol.asyncDispose]();
});

async function visit() {
  const page = await browser.newPage();
  await page.goto(site.url);
  await page.addScriptTag({ type: 'module', content: SETUP });
  await page.waitForFunction(() => window.open !== undefined && 'pixels' in window);
  return page;
}

async function expected() {
  await using node = createRestorer({ models: createModels(), runtime: createNodeRuntime() });
  return (await node.restore(IMAGE, { task: 'derain' })).image;
}

test('one tile on WebGPU equals Node within 2/255, and the report tells what ran', async () => {
  const page = await visit();
  const { data, report } = await page.evaluate(
    async ([width, height, given]) => {
      const open = window.open as unknown as (device: string) => import('@elfin/core/web').WebRestorer;
      const { image, report } = await open('webgpu').restore(window.pixels(width, height, given), { task: 'derain' });
      return { data: [...image.data], report };
    },
    [WIDTH, HEIGHT, [...IMAGE.data]] as const,
  );
  expect(apart(data, (await expected()).data)).toBeLessThanOrEqual(2);
  expect(report).toMatchObject({ tiles: 1, backend: { provider: 'webgpu', declined: [] } });
  await page.close();
}, 900_000);

test('a GPU that is lost again and again costs time, not the picture: wasm goes on, and the report says why', async () => {
  const page = await visit();
  // A browser that takes every device away as soon as it has given it.
  await page.evaluate(() => {
    const script = (text: string) => URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
    const losing = script(`
      // The software adapter of this browser stands for a real one, which \`auto\` would take.
      Object.defineProperty(GPUAdapter.prototype, 'isFallbackAdapter', { get: () => false });
      Object.defineProperty(GPUAdapterInfo.prototype, 'isFallbackAdapter', { get: () => false });
      const { requestDevice } = GPUAdapter.prototype;
      GPUAdapter.prototype.requestDevice = async function (...given) {
        const device = await requestDevice.apply(this, given);
        return Object.defineProperty(device, 'lost', { value: Promise.resolve({ reason: 'unknown', message: 'gone' }) });
      };`);
    const worker = script(`import '${losing}'; import '${location.origin}/elfin/web-worker.js';`);
    Object.assign(window, { started: 0 });
    Object.assign(window, {
      losing: () => {
        (window as unknown as { started: number }).started++;
        return new Worker(worker, { type: 'module', name: 'elfin' });
      },
    });
  });
  const [auto, insisting] = await page.evaluate(
    async ([width, height, given]) => {
      const { elfin, losing, pixels } = window as unknown as {
        elfin: typeof import('@elfin/core/web');
        losing: () => Worker;
        started: number;
        pixels: typeof window.pixels;
      };
      const options = { models: elfin.fetchModels('/elfin/models'), assets: '/elfin', worker: losing };
      const image = pixels(width, height, given);
      const restorer = elfin.createRestorer(options);
      const fractions: number[] = [];
      const onProgress = ({ fraction }: { fraction: number }) => fractions.push(fraction);
      const { image: restored, report } = await restorer.restore(image, { task: 'derain', onProgress });
      const { started } = window as unknown as { started: number };
      const only = elfin.createRestorer({ ...options, device: 'webgpu' });
      const failed = await only.restore(image, { task: 'derain' }).catch(({ code, message }) => ({ code, message }));
      return [{ data: [...restored.data], report, started, fractions }, failed] as const;
    },
    [WIDTH, HEIGHT, [...IMAGE.data]] as const,
  );
  expect(apart(auto.data, (await expected()).data)).toBeLessThanOrEqual(1);
  expect(auto.started).toBe(3);
  expect(auto.fractions).toEqual(auto.fractions.toSorted((a, b) => a - b));
  const declined = [{ provider: 'webgpu', reason: 'the device was lost 2 times' }];
  expect(auto.report).toMatchObject({ backend: { provider: 'wasm', declined } });
  expect(insisting).toMatchObject({ code: 'RUNTIME_FAILED', message: expect.stringMatching(/GPU was lost \(gone\)/) });
  await page.close();
}, 600_000);
