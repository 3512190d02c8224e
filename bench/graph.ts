/**
 * How fast the emitted graph is beside another export of the same network, and what each exact rearrangement is worth.
 * All contenders live in one process with the same threads and take turns; a figure is the median over rounds of the
 * ratio to the first contender's run in the same round. Method and results: bench/README.md.
 *
 *   node --conditions=@elfin/source bench/graph.ts --weights FILE [--preset elf-lw] [--peer FILE.onnx] [--ablate]
 *     [--engine node|wasm] [--threads 1] [--side 256] [--rounds 21] [--graph own|given]
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { emitElf, LOWERINGS, type Lowering, type PresetName } from '@elfin/core';
import { readSafetensors } from '@elfin/core/weights';
import type { InferenceSession, Tensor } from 'onnxruntime-common';

const { values: args } = parseArgs({
  options: {
    weights: { type: 'string' },
    preset: { type: 'string', default: 'elf-lw' },
    peer: { type: 'string' },
    ablate: { type: 'boolean', default: false },
    engine: { type: 'string', default: 'node' },
    threads: { type: 'string', default: '1' },
    side: { type: 'string', default: '256' },
    rounds: { type: 'string', default: '21' },
    graph: { type: 'string', default: 'own' },
  },
});
if (!args.weights) throw new Error('Say where the weights are: --weights FILE.safetensors');
const [threads, side, rounds] = [Number(args.threads), Number(args.side), Number(args.rounds)];
const engine = args.engine === 'wasm' ? 'wasm' : 'node';
const ort: typeof import('onnxruntime-common') = await import(
  engine === 'wasm' ? 'onnxruntime-web/wasm' : 'onnxruntime-node'
);
if (engine === 'wasm') ort.env.wasm.numThreads = threads;
const options: InferenceSession.SessionOptions =
  engine === 'wasm' ? { executionProviders: ['wasm'] } : { intraOpNumThreads: threads };

const weights = readSafetensors(await readFile(args.weights)).state;
const preset = args.preset as PresetName;
const fast: Lowering = LOWERINGS[engine === 'wasm' ? 'wasm' : 'native'];
const emit = (target: Lowering) => {
  const start = performance.now();
  const { onnx } = emitElf({ model: preset, weights, target, shape: { batch: 1, height: side, width: side } });
  return { onnx, milliseconds: performance.now() - start };
};

interface Contender {
  readonly name: string;
  readonly session: InferenceSession;
  readonly times: number[];
  /** Processor time of the whole process, which neighbours on a shared machine disturb less. */
  readonly processor: number[];
  output: Float32Array;
}

const models: [name: string, onnx: Uint8Array][] = [];
if (args.peer) models.push([basename(args.peer), await readFile(args.peer)]);
models.push(['reference', emit(LOWERINGS.reference).onnx], ['elfin', emit(fast).onnx]);
if (args.ablate) {
  for (const key of Object.keys(fast) as (keyof Lowering)[]) {
    if (fast[key] === LOWERINGS.reference[key]) continue;
    models.push([`elfin without ${key}`, emit({ ...fast, [key]: LOWERINGS.reference[key] }).onnx]);
  }
}

const image = new Float32Array(3 * side * side);
image.forEach((_, i) => {
  image[i] = 0.5 + 0.4 * Math.sin(i * 0.013) * Math.cos(Math.floor(i / side) * 0.071);
});
const contenders: Contender[] = [];
for (const [name, onnx] of models) {
  const session = await ort.InferenceSession.create(onnx, options);
  contenders.push({ name, session, times: [], processor: [], output: new Float32Array() });
}
for (let round = -2; round < rounds; round++) {
  for (const contender of contenders) {
    const { session, times, processor } = contender;
    const feeds = { [session.inputNames[0]!]: new ort.Tensor('float32', image, [1, 3, side, side]) };
    const used = process.cpuUsage();
    const start = performance.now();
    const results: Record<string, Tensor> = await session.run(feeds);
    // The first two rounds warm up.
    if (round >= 0) {
      times.push(performance.now() - start);
      const { user, system } = process.cpuUsage(used);
      processor.push((user + system) / 1000);
    }
    contender.output = results[session.outputNames[0]!]!.data as Float32Array;
  }
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const [first] = contenders;
const emissions = Array.from({ length: 5 }, () => emit(fast).milliseconds);
console.log(`${preset}, ${side}×${side}, ${engine}, ${threads} thread(s), ${rounds} rounds`);
console.log(`emission: first ${emissions[0]!.toFixed(0)} ms, median ${median(emissions).toFixed(0)} ms`);
console.log(`| graph | ms | ratio to ${first!.name} | processor ms | ratio | max |Δ| |\n|---|---|---|---|---|---|`);
const against = (values: readonly number[], base: readonly number[]) =>
  median(values.map((value, round) => value / base[round]!)).toFixed(3);
for (const { name, times, processor, output } of contenders) {
  const difference = output.reduce((most, value, i) => Math.max(most, Math.abs(value - first!.output[i]!)), 0);
  const wall = `${median(times).toFixed(0)} | ${against(times, first!.times)}`;
  const busy = `${median(processor).toFixed(0)} | ${against(processor, first!.processor)}`;
  console.log(`| ${name} | ${wall} | ${busy} | ${difference.toExponential(1)} |`);
}
