/**
 * wasm in a page, at one and at all threads, against onnxruntime-node with one thread: a 256×256 tile of the bundled photo
 * through the SDK, in turns; then the whole photo, from an empty visit: time, bytes, memory, long tasks and late frames of the
 * page, seam figure.
 *
 *     node --conditions=@elfin/source bench/browser/wasm.ts [--rounds 5] [--side 128]
 *
 * `--side`: also the square out of the photo's middle that upscalerjs.ts takes, in one piece and in tiles of half its side.
 */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { seamStrength } from '@elfin/core/metrics';
import { createNodeRuntime, createRestorer } from '@elfin/core/node';
import type { WebRestorer } from '@elfin/core/web';
import { createModels } from '@elfin/models/node';
import sharp from 'sharp';
import { buildElfin } from '../../test/helpers/site.ts';
import { describe, median, visit, type Watching } from './visit.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' }, side: { type: 'string' } } });
const rounds = Number(values.rounds);
const SIDE = 256;
const ASSETS = fileURLToPath(new URL('../../packages/cli/assets', import.meta.url));
// Where tiles of 512 with an overlap of 128 begin and end in the photo, which is 760 × 504.
const LINES = { columns: [256, 512], rows: [] };
const SCRIPT = `
  import * as element from '/elfin/element.js';
  import { createRestorer, fetchModels } from '/elfin/web.js';
  window.element = element;
  window.open = (threads) => createRestorer({ models: fetchModels('/elfin/models'), assets: '/elfin', device: 'wasm', threads });
  window.ready = true;`;

interface Bench {
  readonly element: typeof import('@elfin/core/element');
  open(threads?: number): WebRestorer;
}

const cut = await sharp(`${ASSETS}/rainy.jpg`)
  .extract({ left: 250, top: 120, width: SIDE, height: SIDE })
  .raw()
  .toBuffer();
const tile = { width: SIDE, height: SIDE, channels: 3, data: new Uint8Array(cut) } as const;

await using built = await buildElfin();
const folders = { ...built.folders, '/photos/': [ASSETS] };
await using node = createRestorer({ models: createModels(), runtime: createNodeRuntime({ threads: 1 }) });
const inNode = async () => {
  const { report } = await node.restore(tile, { task: 'derain' });
  return report.timings.restore;
};
await inNode();

const all = availableParallelism();
const { value: times } = await visit(folders, SCRIPT, async (page) => {
  // ONNX Runtime fixes its threads a realm: a worker each.
  const handles = await Promise.all(
    [1, all].map((threads) => page.evaluateHandle((n) => (window as unknown as Bench).open(n), threads)),
  );
  const image = await page.evaluateHandle(
    ([side, data]) => ({ width: side, height: side, channels: 3 as const, data: Uint8Array.from(data) }),
    [SIDE, [...cut]] as const,
  );
  const inPage = (which: number) =>
    handles[which]!.evaluate(
      async (restorer, given) => (await restorer.restore(given, { task: 'derain' })).report.timings.restore,
      image,
    );
  for (const which of [0, 1]) await inPage(which);
  const found: { node: number; one: number; all: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    found.push({ node: await inNode(), one: await inPage(0), all: await inPage(1) });
  }
  return found;
});
const ratio = (key: 'one' | 'all') => median(times.map((round) => round[key] / round.node));
console.log(
  `tile of ${SIDE}×${SIDE}, ${rounds} rounds: onnxruntime-node, 1 thread: ${median(times.map(({ node }) => node)).toFixed(0)} ms`,
);
console.log(
  `page, 1 thread: ${ratio('one').toFixed(2)} times that; ${all} threads: ${ratio('all').toFixed(2)} times that`,
);

const photo = await visit(folders, SCRIPT, (page) =>
  page.evaluate(async () => {
    const { watch, open, element } = window as unknown as Bench & Watching;
    let stop = watch();
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const idle = stop();
    const file = await (await fetch('/photos/rainy.jpg')).blob();
    const restorer = open();
    // As a page does it: tiles drawn over the photo as they come, then the result.
    const show = async () => {
      const picture = Object.assign(new Image(), { src: URL.createObjectURL(file) });
      document.body.replaceChildren(picture);
      await picture.decode();
      const begun = performance.now();
      stop = watch();
      const { restored } = element.restoreElement(picture, { restorer, task: 'derain' });
      const { image, report } = await restored;
      return { ms: performance.now() - begun, smooth: stop(), image, report };
    };
    const cold = await show();
    const warm = await show();
    const [width, height] = [4000, 3000];
    const large = { width, height, channels: 3, data: new Uint8Array(3 * width * height) } as const;
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    document.body.replaceChildren(canvas);
    stop = watch();
    await element.paintPixels(canvas.getContext('2d')!, large);
    const painting = stop();
    const { image, report } = warm;
    return {
      idle,
      cold: { ...cold, image: 0 },
      warm: { ...warm, image: 0 },
      painting,
      report,
      image: { ...image, data: [...image.data] },
    };
  }),
);
const { idle, cold, warm, painting, report, image } = photo.value;
const seams = (bytes: Uint8Array) =>
  seamStrength({ width: image.width, height: image.height, channels: 3, data: bytes }, LINES).toFixed(3);
const source = new Uint8Array(await sharp(`${ASSETS}/rainy.jpg`).raw().toBuffer());
const megabytes = (count: number) => `${(count / 1e6).toFixed(1)} MB`;
console.log(`photo of ${image.width}×${image.height}, ${report.task === 'none' ? 0 : report.tiles} tiles:`);
console.log(`  first visit to result ${(cold.ms / 1000).toFixed(2)} s, again ${(warm.ms / 1000).toFixed(2)} s`);
console.log(
  `  downloaded ${megabytes(photo.bytes)}, peak memory of the page's process ${megabytes(photo.memory.renderer)}`,
);
console.log(`  idle: ${describe(idle)}`);
console.log(`  first visit: ${describe(cold.smooth)}`);
console.log(`  again: ${describe(warm.smooth)}`);
console.log(`  drawing a result of 12 megapixels: ${describe(painting)}`);
console.log(`  seam figure ${seams(Uint8Array.from(image.data))}, the photo's own ${seams(source)}`);

if (values.side) {
  const side = Number(values.side);
  const middle = { left: Math.floor((760 - side) / 2), top: Math.floor((504 - side) / 2), width: side, height: side };
  const square = await sharp(`${ASSETS}/rainy.jpg`).extract(middle).raw().toBuffer();
  const { value, bytes, memory } = await visit(folders, SCRIPT, (page) =>
    page.evaluate(
      async ([length, given]) => {
        const { watch, open } = window as unknown as Bench & Watching;
        const stop = watch();
        const begun = performance.now();
        const restorer = open();
        const input = { width: length, height: length, channels: 3, data: Uint8Array.from(given) } as const;
        const cold = await restorer.restore(input, { task: 'derain' });
        const first = performance.now() - begun;
        const again = await restorer.restore(input, { task: 'derain' });
        const smooth = stop();
        const tiling = { mode: 'local', tile: length / 2, overlap: length / 4 } as const;
        const tiled = await restorer.restore(input, { task: 'derain', tiling });
        const times = { first, again: again.report.timings.total, tiled: tiled.report.timings.total };
        return { times, smooth, whole: [...cold.image.data], tiled: [...tiled.image.data] };
      },
      [side, [...square]] as const,
    ),
  );
  const lines = [1, 2, 3].map((quarter) => (quarter * side) / 4);
  const strength = (data: readonly number[]) =>
    seamStrength(
      { width: side, height: side, channels: 3, data: Uint8Array.from(data) },
      { columns: lines, rows: lines },
    ).toFixed(3);
  const { first, again, tiled } = value.times;
  console.log(`square of ${side}, from an empty visit: ${(first / 1000).toFixed(2)} s, again ${again.toFixed(0)} ms`);
  console.log(`  downloaded ${megabytes(bytes)}, peak memory of the page's process ${megabytes(memory.renderer)}`);
  console.log(`  ${describe(value.smooth)}`);
  console.log(`  in tiles of ${side / 2}: ${tiled.toFixed(0)} ms`);
  console.log(
    `  seam figure at their borders: ${strength(value.tiled)}, in one piece ${strength(value.whole)}, the photo's own ${strength([...square])}`,
  );
}
