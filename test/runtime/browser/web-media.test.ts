import type { WebInput, WebRestorer } from '@elfin/core/web';
import type { Browser, Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launchChromium } from '../../helpers/chromium.ts';
import { POLICY } from '../../helpers/element/site.ts';
import { buildElfin, type Site, serveSite } from '../../helpers/site.ts';

const IMAGES = new URL('../../fixtures/images/', import.meta.url).pathname;
let browser: Browser;
let built: Awaited<ReturnType<typeof buildElfin>>;
let site: Site;
let other: Site;
let page: Page;

interface Scope {
  readonly restorer: WebRestorer;
  readonly elfin: typeof import('@elfin/core/web');
  readonly told: (error: unknown) => { code: string; message: string };
  readonly inputs: Readonly<Record<string, () => Promise<WebInput> | WebInput>>;
}

const SETUP = `
  import * as elfin from '/elfin/web.js';
  const open = () => elfin.createRestorer({ models: elfin.fetchModels('/elfin/models'), assets: '/elfin', device: 'wasm' });
  const drawn = (canvas) => {
    const context = canvas.getContext('2d');
    context.fillStyle = 'teal';
    context.fillRect(8, 8, 40, 30);
    return canvas;
  };
  const canvas = () => drawn(Object.assign(document.createElement('canvas'), { width: 64, height: 48 }));
  async function video() {
    const source = canvas();
    const element = Object.assign(document.createElement('video'), { muted: true, srcObject: source.captureStream() });
    setInterval(() => drawn(source), 50);
    await element.play();
    return element;
  }
  async function foreign(tag) {
    const image = new Image();
    image.src = new URLSearchParams(location.search).get('other') + 'images/metadata.jpg';
    await image.decode();
    if (tag === 'img') return image;
    const tainted = canvas();
    tainted.getContext('2d').drawImage(image, 0, 0);
    return tainted;
  }
  const png = () => new Promise((resolve) => canvas().toBlob(resolve));
  Object.assign(window, {
    elfin,
    told: ({ code, message }) => ({ code, message }),
    restorer: open(),
    inputs: {
      'a canvas': canvas,
      'an OffscreenCanvas': () => drawn(new OffscreenCanvas(64, 48)),
      'an ImageBitmap': () => createImageBitmap(canvas()),
      'a video’s frame': video,
      'a VideoFrame': () => new VideoFrame(canvas(), { timestamp: 0 }),
      'a Response': async () => new Response(await png()),
      'a blob’s address': async () => URL.createObjectURL(await png()),
      'a data: address': () => canvas().toDataURL('image/png'),
      'a relative address': () => 'images/small.png',
      'a URL': () => new URL('images/small.png', location.href),
      'nothing there': () => 'images/nothing.png',
      'a Response that was read': async () => {
        const response = new Response('x');
        await response.text();
        return response;
      },
      'no address': () => 'http://[',
      'a video without a frame': () => document.createElement('video'),
      'a picture of another site': () => foreign('img'),
      'a canvas with a picture of another site': () => foreign('canvas'),
    },
  });
`;

beforeAll(async () => {
  [browser, built] = await Promise.all([launchChromium({ webgpu: false }), buildElfin()]);
  const small = await sharp({ create: { width: 64, height: 48, channels: 3, background: 'teal' } })
    .png()
    .toBuffer();
  const serve = async () => {
    const served = await serveSite({ ...built.folders, '/images/': [IMAGES] }, { isolated: false });
    served.handler = (_, response, path) => {
      if (path !== '/images/small.png') return false;
      response.writeHead(200, { 'content-type': 'image/png' }).end(small);
      return true;
    };
    return served;
  };
  [site, other] = await Promise.all([serve(), serve()]);
  page = await visit(`${site.url}?other=${other.url}`);
});
afterAll(async () => {
  await browser?.close();
  await Promise.all([site?.stop(), other?.stop()]);
  await built?.[Symbol.asyncDispose]();
});

async function visit(url: string): Promise<Page> {
  const opened = await browser.newPage();
  await opened.goto(url);
  await opened.addScriptTag({ type: 'module', content: SETUP });
  await opened.waitForFunction(() => 'restorer' in window);
  return opened;
}

describe('inputs', () => {
  test.each([
    'a canvas',
    'an OffscreenCanvas',
    'an ImageBitmap',
    'a video’s frame',
    'a VideoFrame',
    'a Response',
    'a blob’s address',
    'a data: address',
    'a relative address',
    'a URL',
  ])('%s', async (name) => {
    const sides = await page.evaluate(async (key) => {
      const { inputs, restorer } = window as unknown as Scope;
      const { image, report } = await restorer.restore(await inputs[key]!(), { task: 'derain' });
      return [image.width, image.height, report.task];
    }, name);
    expect(sides).toEqual([64, 48, 'derain']);
  });

  test.each([
    ['nothing there', 'NETWORK_FAILED', /404/],
    ['a Response that was read', 'OPTION_INVALID', /clone/],
    ['no address', 'OPTION_INVALID', /http:\/\/\[.*no address/],
    ['a video without a frame', 'INPUT_UNREADABLE', /loadeddata/],
    ['a picture of another site', 'INPUT_UNREADABLE', /CORS/],
    ['a canvas with a picture of another site', 'INPUT_UNREADABLE', /CORS/],
  ])('%s is refused in words', async (name, code, words) => {
    const error = await page.evaluate(async (key) => {
      const { inputs, restorer, told } = window as unknown as Scope;
      return restorer.restore(await inputs[key]!(), { task: 'derain' }).then(() => undefined, told);
    }, name);
    expect(error).toMatchObject({ code, message: expect.stringMatching(words) });
  });
});

describe('outputs', () => {
  test('a file in the source’s format with its metadata, others on demand, smaller where that is asked', async () => {
    const files = await page.evaluate(async () => {
      const { restorer } = window as unknown as Scope;
      const restored = await restorer.restore('images/metadata.jpg', { task: 'derain' });
      const blobs = [
        await restored.toBlob(),
        await restored.toBlob({ metadata: 'none', quality: 40 }),
        await restored.toBlob({ format: 'webp', maxSide: 16 }),
        await restored.toBlob({ format: 'png' }),
      ];
      return Promise.all(blobs.map(async (blob) => [blob.type, ...new Uint8Array(await blob.arrayBuffer())] as const));
    });
    const told = await Promise.all(
      files.map(async ([type, ...bytes]) => {
        const { format, width, height, exif } = await sharp(Buffer.from(bytes as number[])).metadata();
        return { type, format, longest: Math.max(width, height), exif: exif !== undefined };
      }),
    );
    const { width, height } = await sharp(`${IMAGES}metadata.jpg`).metadata();
    const longest = Math.max(width, height);
    expect(told).toEqual([
      { type: 'image/jpeg', format: 'jpeg', longest, exif: true },
      { type: 'image/jpeg', format: 'jpeg', longest, exif: false },
      { type: 'image/webp', format: 'webp', longest: 16, exif: true },
      { type: 'image/png', format: 'png', longest, exif: true },
    ]);
  });

  test('a bitmap, and tiles as a stream that ends the work when it is left', async () => {
    const seen = await page.evaluate(async () => {
      const { elfin, restorer, inputs } = window as unknown as Scope;
      const restored = await restorer.restore(await inputs['a canvas']!(), { task: 'derain' });
      const bitmap = await restored.toBitmap();
      const large = Object.assign(document.createElement('canvas'), { width: 192, height: 128 });
      const options = { task: 'derain', tiling: { mode: 'local', tile: 64, overlap: 32 } } as const;
      let tiles = 0;
      for await (const { data } of elfin.streamTiles(restorer, large, options)) tiles += data.length > 0 ? 1 : 0;
      const left = elfin.streamTiles(restorer, large, options).getReader();
      const first = await left.read();
      await left.cancel();
      const failed = elfin.streamTiles(restorer, large, { task: 'derain', strength: 2 }).getReader();
      const error = await failed.read().catch(({ code }) => code);
      const { image } = await restorer.restore(await inputs['a canvas']!(), { task: 'derain' });
      return { bitmap: [bitmap.width, bitmap.height], tiles: tiles > 4, first: first.done, error, after: image.width };
    });
    expect(seen).toEqual({ bitmap: [64, 48], tiles: true, first: false, error: 'OPTION_INVALID', after: 64 });
  });
});

describe('what a page may forbid is told with the way out', () => {
  const under = async (policy: string) => {
    site.handler = (_, response, path) => {
      response.setHeader('content-security-policy', policy);
      if (path !== '/setup.js') return false;
      response.writeHead(200, { 'content-type': 'text/javascript' }).end(SETUP);
      return true;
    };
    const opened = await browser.newPage();
    await opened.goto(site.url);
    await opened.addScriptTag({ type: 'module', url: '/setup.js' });
    await opened.waitForFunction(() => 'restorer' in window);
    const error = await opened.evaluate(() =>
      (window as unknown as Scope).restorer.warmup({ task: 'derain' }).then(
        ({ provider }) => provider,
        ({ code, message }: { code: string; message: string }) => `${code} ${message}`,
      ),
    );
    await opened.close();
    return error;
  };

  test.each([
    [
      'workers',
      `${POLICY}; worker-src 'none'`,
      /^RUNTIME_UNAVAILABLE .*Content Security Policy forbids it \(worker-src\)/,
    ],
    ['WebAssembly', "default-src 'self'", /^RUNTIME_UNAVAILABLE .*'wasm-unsafe-eval'/],
    ['nothing that is needed', POLICY, /^wasm$/],
  ])('%s', async (_, policy, words) => {
    expect(await under(policy)).toMatch(words);
  });

  test('a browser without OffscreenCanvas', async () => {
    const error = await page.evaluate(() => {
      const { elfin, told } = window as unknown as Scope;
      const { OffscreenCanvas: plain } = window;
      Reflect.deleteProperty(window, 'OffscreenCanvas');
      try {
        elfin.createRestorer({ models: elfin.fetchModels('/elfin/models') });
        return undefined;
      } catch (reason) {
        return told(reason);
      } finally {
        Object.assign(window, { OffscreenCanvas: plain });
      }
    });
    expect(error).toMatchObject({ code: 'RUNTIME_UNAVAILABLE', message: expect.stringMatching(/Safari.*16\.4/) });
  });
});
