/**
 * wasm in a page, at one and at all threads, against onnxruntime-node with one thread: a 256×256 tile of the bundled photo
 * through the SDK, in turns; then the whole photo, from an empty visit: time, bytes, memory, long tasks on the page's thread,
 * seam figure.
 *
 *     node --conditions=@elfin/source bench/browser/wasm.ts [--rounds 5]
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
import { median, visit } from './visit.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } });
const rounds = Number(values.rounds);
const SIDE = 256;
const ASSETS = fileURLToPath(new URL('../../packages/cli/assets', import.meta.url));
// Where tiles of 512 with an overlap of 128 begin and end in the photo, which is 760 × 504.
const LINES = { columns: [256, 512], rows: [] };
const SCRIPT = `
  import { createRestorer, fetchModels } from '/elfin/web.js';
  window.open = (threads) => createRestorer({ models: fetchModels('/elfin/models'), assets: '/elfin', device: 'wasm', threads });
  window.ready = true;`;

interface Bench {
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
    const begun = performance.now();
    const long: number[] = [];
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) long.push(duration);
    }).observe({ type: 'longtask' });
    let last = begun;
    let gap = 0;
    const frame = (now: number) => {
      gap = Math.max(gap, now - last);
      last = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    const file = await (await fetch('/photos/rainy.jpg')).blob();
    const restorer = (window as unknown as Bench).open();
    const { image, report } = await restorer.restore(file, { task: 'derain', onTile: () => {} });
    const cold = performance.now() - begun;
    const again = await restorer.restore(file, { task: 'derain' });
    const { width, height, channels } = image;
    return {
      cold,
      warm: again.report.timings.total,
      long,
      gap,
      report,
      width,
      height,
      channels,
      data: [...image.data],
    };
  }),
);
const { cold, warm, long, gap, report, data, ...sides } = photo.value;
const seams = (bytes: Uint8Array) => seamStrength({ ...sides, channels: 3, data: bytes }, LINES).toFixed(3);
const source = new Uint8Array(await sharp(`${ASSETS}/rainy.jpg`).raw().toBuffer());
const megabytes = (count: number) => `${(count / 1e6).toFixed(1)} MB`;
console.log(`photo of ${sides.width}×${sides.height}, ${report.task === 'none' ? 0 : report.tiles} tiles:`);
console.log(`  first visit to result ${(cold / 1000).toFixed(2)} s, again ${(warm / 1000).toFixed(2)} s`);
console.log(
  `  downloaded ${megabytes(photo.bytes)}, peak memory of the page's process ${megabytes(photo.memory.renderer)}`,
);
console.log(
  `  long tasks on the page's thread: ${long.length ? long.map((ms) => `${ms.toFixed(0)} ms`).join(', ') : 'none'}; longest gap between frames ${gap.toFixed(0)} ms`,
);
console.log(`  seam figure ${seams(Uint8Array.from(data))}, the photo's own ${seams(source)}`);
