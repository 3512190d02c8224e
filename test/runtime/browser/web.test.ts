import { readFileSync } from 'node:fs';
import { createNodeRuntime, createRestorer } from '@elfin/core/node';
import type { WebRestorer } from '@elfin/core/web';
import { createModels } from '@elfin/models/node';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launchChromium } from '../../helpers/chromium.ts';
import { blackPng } from '../../helpers/photos.ts';
import { apart, noise } from '../../helpers/pictures.ts';
import { buildElfin, type Site, serveSite } from '../../helpers/site.ts';

// Everything that a page's function needs comes with it: it runs in Chromium, where this file's imports are not.
declare global {
  interface Window {
    elfin: typeof import('@elfin/core/web');
    /** Kept open. */
    restorer: WebRestorer;
    open(options?: object): WebRestorer;
    pixels(width: number, height: number, data: readonly number[]): import('@elfin/core').PixelImage;
    failure(error: unknown): { code: string; message: string };
    /** Messages of `restorer`'s worker. */
    readonly heard: { readonly kind: string; readonly id: number }[];
    /** What decodes or compiles, as it was called on the page's own thread. */
    readonly heavy: string[];
    /** Why weights were not kept. */
    uncached: string[];
  }
}

const IMAGE = noise(96, 80);
let browser: Browser;
let built: Awaited<ReturnType<typeof buildElfin>>;
let site: Site;
let bare: Site;
// Shared by the tests that leave nothing behind: a worker takes seconds to start.
let page: Awaited<ReturnType<typeof visit>>;

beforeAll(async () => {
  [browser, built] = await Promise.all([launchChromium(), buildElfin()]);
  site = await serveSite(built.folders);
  bare = await serveSite(built.folders, { isolated: false });
  page = await visit();
});
afterAll(async () => {
  await browser?.close();
  await site?.stop();
  await bare?.stop();
  await built?.[Symbol.asyncDispose]();
});

const SETUP = `
  import * as elfin from '/elfin/web.js';
  window.elfin = elfin;
  window.open = (options) => elfin.createRestorer({
    models: elfin.fetchModels('/elfin/models'), assets: '/elfin', device: 'wasm', ...options,
  });
  window.pixels = (width, height, data) => ({ width, height, channels: 3, data: Uint8Array.from(data) });
  window.heard = [];
  window.restorer = window.open({
    worker() {
      const worker = new Worker('/elfin/web-worker.js', { type: 'module', name: 'elfin' });
      worker.addEventListener('message', ({ data: { kind, id } }) => window.heard.push({ kind, id }));
      return worker;
    },
  });
  window.failure = ({ code, message }) => ({ code, message });
  window.heavy = [];
  const spy = (owner, name) => {
    const plain = owner[name];
    owner[name] = (...given) => {
      window.heavy.push(name);
      return Reflect.apply(plain, owner, given);
    };
  };
  for (const name of ['compile', 'instantiate', 'instantiateStreaming', 'compileStreaming']) spy(WebAssembly, name);
  spy(window, 'createImageBitmap');
`;

function read(name: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(new URL(`../../fixtures/images/${name}`, import.meta.url)));
}

/** An empty page with a visitor of its own, as if no bundler existed: `<script type=module>` and copied files. */
async function visit(where = site): Promise<Page & AsyncDisposable> {
  const context: BrowserContext = await browser.newContext();
  const page = await context.newPage();
  await page.goto(where.url);
  await page.addScriptTag({ type: 'module', content: SETUP });
  await page.waitForFunction(() => window.elfin);
  return Object.assign(page, { [Symbol.asyncDispose]: () => context.close() });
}

describe('results', () => {
  test('wasm in a page equals Node within 1/255, and the report tells the truth', async () => {
    const { data, report } = await page.evaluate(
      async (given) => {
        const { image, report } = await window.restorer.restore(window.pixels(96, 80, given), { task: 'derain' });
        return { data: [...image.data], report };
      },
      [...IMAGE.data],
    );
    await using node = createRestorer({ models: createModels(), runtime: createNodeRuntime() });
    const expected = await node.restore(IMAGE, { task: 'derain' });
    expect(apart(data, expected.image.data)).toBeLessThanOrEqual(1);
    expect(report).toMatchObject({ task: 'derain', tiles: 1, backend: { provider: 'wasm' } });
    if (report.task !== 'none') expect(report.backend.threads).toBeGreaterThan(0);
  });

  test('without shared memory there is one thread, with the reason', async () => {
    await using page = await visit(bare);
    const backend = await page.evaluate(() => window.open().warmup({ task: 'derain' }));
    expect(backend).toMatchObject({ provider: 'wasm', threads: 1 });
    expect(backend.declined).toContainEqual({
      provider: 'wasm threads',
      reason: expect.stringMatching(/not cross-origin isolated/),
    });
  });

  test('auto looks for itself: an even grey picture needs nothing', async () => {
    const { report, same } = await page.evaluate(async () => {
      const given = window.pixels(64, 64, new Array(64 * 64 * 3).fill(128));
      const { image, report } = await window.restorer.restore(given, { task: 'auto' });
      return { report, same: image.data.every((value) => value === 128) };
    });
    expect(report).toMatchObject({ task: 'none', classification: { task: 'none' } });
    expect(same).toBe(true);
  });

  test('tiles arrive one by one and are what the result becomes', async () => {
    const { tiles, image } = await page.evaluate(
      async (given) => {
        const seen: { x: number; y: number; width: number; height: number; data: number[] }[] = [];
        const { image } = await window.restorer.restore(window.pixels(96, 80, given), {
          task: 'derain',
          tiling: { mode: 'global', tile: 64, overlap: 32, passes: 0 },
          onTile: ({ data, ...place }) => seen.push({ ...place, data: [...data] }),
        });
        return { tiles: seen, image: [...image.data] };
      },
      [...IMAGE.data],
    );
    expect(tiles.length).toBeGreaterThan(1);
    const shown = new Array<number>(image.length).fill(-1);
    for (const { x, y, width, data } of tiles) {
      data.forEach((value, i) => {
        const pixel = Math.floor(i / 4);
        const at = ((y + Math.floor(pixel / width)) * 96 + x + (pixel % width)) * 3 + (i % 4);
        if (i % 4 < 3) shown[at] = value;
      });
    }
    expect(apart(shown, image)).toBeLessThanOrEqual(1);
  });
});

describe('the page stays usable', () => {
  test('no codec and no session runs on its thread, from its first call on', async () => {
    const seen = await page.evaluate(async () => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 64 });
      const file = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/jpeg'));
      const { header, report } = await window.restorer.restore(file!, { task: 'derain' });
      return { heavy: window.heavy, header, task: report.task };
    });
    expect(seen).toMatchObject({ heavy: [], header: { format: 'jpeg', width: 64, height: 64 }, task: 'derain' });
  });

  test('an abort ends the call at once, and the next one works', async () => {
    const told = await page.evaluate(
      async (given) => {
        const { restorer } = window;
        const controller = new AbortController();
        const image = window.pixels(96, 80, given);
        const first = restorer
          .restore(image, { task: 'derain', signal: controller.signal, onProgress: () => controller.abort() })
          .catch(window.failure);
        const already = restorer.restore(image, { task: 'derain', signal: AbortSignal.abort() }).catch(window.failure);
        const codes = [await first, await already].map((error) => 'code' in error && error.code);
        const { image: after } = await restorer.restore(image, { task: 'derain' });
        return { codes, width: after.width };
      },
      [...IMAGE.data],
    );
    expect(told).toEqual({ codes: ['ABORTED', 'ABORTED'], width: 96 });
  });

  test('an abort ends the work after the tile in hand', async () => {
    const { begun, done } = await page.evaluate(async () => {
      const { restorer, heard } = window;
      const image = window.pixels(256, 256, new Array(3 * 256 * 256).fill(90));
      const controller = new AbortController();
      const tiling = { mode: 'local', tile: 64, overlap: 32 } as const;
      const before = heard.length;
      await restorer
        .restore(image, { task: 'derain', tiling, signal: controller.signal, onTile: () => controller.abort() })
        .catch(() => {});
      await restorer.restore(window.pixels(32, 32, new Array(3 * 32 * 32).fill(90)), { task: 'derain' });
      const tiles = heard.slice(before).filter(({ kind }) => kind === 'tile');
      return { begun: tiles.length > 0, done: tiles.length };
    });
    expect(begun).toBe(true);
    // Of 49; one or two where the page is quick to say so.
    expect(done).toBeLessThan(24);
  });

  test('two restores at once each get their own picture', async () => {
    const other = noise(48, 64, 3, 8, 9);
    const [both, alone] = await page.evaluate(
      async ([one, two]) => {
        const { restorer } = window;
        const a = window.pixels(96, 80, one!);
        const b = window.pixels(48, 64, two!);
        const task = 'derain';
        const together = await Promise.all([restorer.restore(a, { task }), restorer.restore(b, { task })]);
        const apart = [await restorer.restore(a, { task }), await restorer.restore(b, { task })];
        return [together, apart].map((list) => list.map(({ image }) => [...image.data]));
      },
      [[...IMAGE.data], [...other.data]],
    );
    expect(both).toEqual(alone);
  });

  test('dispose ends the worker and what it was doing; a restorer made after works', async () => {
    const running = page.workers().length;
    const code = await page.evaluate(
      async (given) => {
        const restorer = window.open();
        await restorer.warmup({ task: 'derain' });
        const under = restorer.restore(window.pixels(96, 80, given), { task: 'derain' }).catch(window.failure);
        await new Promise((resolve) => setTimeout(resolve, 20));
        await restorer.dispose();
        const after = await restorer.warmup({ task: 'derain' }).catch(window.failure);
        return [await under, after].map((error) => 'code' in error && error.code);
      },
      [...IMAGE.data],
    );
    expect(code).toEqual(['DISPOSED', 'DISPOSED']);
    await expect.poll(() => page.workers().length, { timeout: 20_000 }).toBe(running);
    const after = await page.evaluate(async () => {
      const restorer = window.open();
      return restorer.warmup({ task: 'derain' }).finally(() => restorer.dispose());
    });
    expect(after).toMatchObject({ provider: 'wasm' });
  });
});

describe('weights', () => {
  test('preload tells bytes, and a second visit fetches no weights', async () => {
    await using page = await visit();
    const preload = () =>
      page.evaluate(async () => {
        const seen: { part: string; loaded: number; total?: number }[] = [];
        await window.open().preload({ task: 'derain', onProgress: (progress) => seen.push(progress) });
        return seen;
      });
    const first = await preload();
    for (const part of ['weights', 'runtime']) {
      const steps = first.filter((step) => step.part === part);
      expect(steps.at(-1)).toMatchObject({ loaded: steps.at(-1)!.total });
      expect(steps.map(({ loaded }) => loaded)).toEqual(steps.map(({ loaded }) => loaded).toSorted((a, b) => a - b));
    }
    const before = site.asked.filter((path) => path.endsWith('weights.safetensors')).length;
    await page.reload();
    await page.addScriptTag({ type: 'module', content: SETUP });
    await page.waitForFunction(() => window.elfin);
    expect((await preload()).filter(({ part }) => part === 'weights').at(-1)!.loaded).toBeGreaterThan(1e6);
    expect(site.asked.filter((path) => path.endsWith('weights.safetensors'))).toHaveLength(before);
  });

  test('what was damaged in the cache is fetched anew; what is wrong on the server is refused', async () => {
    await using page = await visit();
    await page.evaluate(async () => {
      const cache = await caches.open(window.elfin.CACHE);
      await cache.put('/elfin/models/derain-lw/weights.safetensors', new Response('damaged'));
    });
    expect(await page.evaluate(() => window.open().warmup({ task: 'derain' }))).toMatchObject({ provider: 'wasm' });
    await using other = await visit();
    await other.route('**/weights.safetensors', (route) => route.fulfill({ body: 'another file' }));
    expect(await other.evaluate(() => window.open().warmup({ task: 'derain' }).catch(window.failure))).toMatchObject({
      code: 'MODEL_DIGEST_MISMATCH',
    });
  });

  // One visit for all three: what takes the time is a worker's start.
  test('a network lost before a part of the code, then amid the weights, then full storage: each is told, and it works', async () => {
    await using page = await visit();
    const session = await page.context().newCDPSession(page);
    await session.send('Storage.overrideQuotaForOrigin', { origin: new URL(site.url).origin, quotaSize: 100_000 });
    await page.evaluate(() => {
      window.uncached = [];
      const models = window.elfin.fetchModels('/elfin/models', {
        onUncached: (reason) => window.uncached.push(reason),
      });
      window.restorer = window.open({ models });
    });
    const warmup = () => page.evaluate(() => window.restorer.warmup({ task: 'derain' }).catch(window.failure));

    site.handler = (_, response, path) => {
      if (path.includes('/browser/network-')) response.destroy();
      return path.includes('/browser/network-');
    };
    expect(await warmup()).toMatchObject({
      code: 'NETWORK_FAILED',
      message: expect.stringMatching(/part of elfin.*try again/),
    });

    site.handler = (_, response, path) => {
      if (!path.endsWith('weights.safetensors')) return false;
      response.writeHead(200, { 'content-length': 1_000_000 });
      // What the page has not taken in when the connection is reset, it never sees.
      response.write(new Uint8Array(300_000), () => setTimeout(() => response.destroy(), 500));
      return true;
    };
    expect(await warmup()).toMatchObject({
      code: 'NETWORK_FAILED',
      message: expect.stringMatching(/weights.*broke off after \d+ of 1000000 bytes.*try again/),
    });

    site.handler = undefined;
    expect(await warmup()).toMatchObject({ provider: 'wasm' });
    // Told each time that they came to their end.
    expect(new Set(await page.evaluate(() => window.uncached))).toEqual(
      new Set(["the browser's storage for this site is full"]),
    );
  });
});

describe('bad input is told in words, and the page goes on', () => {
  const files: Record<string, [Uint8Array<ArrayBuffer>, string, RegExp]> = {
    'a hundred megapixels': [
      new Uint8Array(blackPng(12_000, 9_000)),
      'IMAGE_TOO_MANY_PIXELS',
      /12000 × 9000.*pixels allowed/,
    ],
    'a broken file': [read('header-only.jpg'), 'IMAGE_TRUNCATED', /ends|cut|truncated|incomplete/i],
    HEIC: [read('hevc.heic'), 'IMAGE_UNSUPPORTED', /HEIF.*convert it to JPEG/],
    'a text': [new TextEncoder().encode('hello, I am no picture'), 'IMAGE_UNSUPPORTED', /no image format/],
  };
  test.each(Object.keys(files))('%s', async (name) => {
    const [bytes, code, words] = files[name]!;
    const told = await page.evaluate(
      async (given) => {
        const { restorer } = window;
        const file = new Blob([Uint8Array.from(given)]);
        const failed = await restorer.restore(file, { task: 'derain' }).catch(window.failure);
        const after = await restorer.warmup({ task: 'derain' });
        return { failed: 'code' in failed ? failed : 'restored', after };
      },
      [...bytes],
    );
    expect(told.failed).toMatchObject({ code, message: expect.stringMatching(words) });
    expect(told.after).toMatchObject({ provider: 'wasm' });
  });

  test('a worker that is not there', async () => {
    await using page = await visit();
    const told = await page.evaluate(() =>
      window.open({ assets: '/nowhere' }).warmup({ task: 'derain' }).catch(window.failure),
    );
    expect(told).toMatchObject({ code: 'RUNTIME_UNAVAILABLE', message: expect.stringMatching(/assets/) });
  });

  test('a model that is not there', async () => {
    await using page = await visit();
    const told = await page.evaluate(() =>
      window.open().warmup({ task: 'underwater', model: 'full' }).catch(window.failure),
    );
    expect(told).toMatchObject({ code: 'MODEL_UNKNOWN', message: expect.stringMatching(/404/) });
  });
});
