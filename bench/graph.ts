/**
 * How fast the emitted graph is beside another export of the same network, and what each exact rearrangement is worth.
 * All contenders live in one process with the same threads and take turns; a figure is the median over rounds of the
 * ratio to the first contender's run in the same round. Method and results: bench/README.md.
 *
 *   node --conditions=@elfin/source bench/graph.ts [--model derain-lw|elf|FILE] [--peer FILE.onnx] [--ablate] [--given]
 *     [--engine node|wasm] [--threads 1] [--side 256] [--rounds 21] [--write FILE: the weights, for the peer to be made of]
 */
import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { type EmitOptions, emitElf, LOWERINGS, type Lowering, type PresetName } from '@elfin/core';
import { readSafetensors } from '@elfin/core/weights';
import type { InferenceSession, Tensor } from 'onnxruntime-common';
import { openModel } from './models.ts';
import { markdownTable } from './table.ts';

const { values: args } = parseArgs({
  options: {
    model: { type: 'string', default: 'derain-lw' },
    peer: { type: 'string' },
    ablate: { type: 'boolean', default: false },
    given: { type: 'boolean', default: false },
    engine: { type: 'string', default: 'node' },
    threads: { type: 'string', default: '1' },
    side: { type: 'string', default: '256' },
    rounds: { type: 'string', default: '21' },
    write: { type: 'string' },
  },
});
const [threads, side, rounds] = [Number(args.threads), Number(args.side), Number(args.rounds)];
const engine = args.engine === 'wasm' ? 'wasm' : 'node';
const ort: typeof import('onnxruntime-common') = await import(
  engine === 'wasm' ? 'onnxruntime-web' : 'onnxruntime-node'
);
if (engine === 'wasm') ort.env.wasm.numThreads = threads;
const options: InferenceSession.SessionOptions =
  engine === 'wasm' ? { executionProviders: ['wasm'] } : { intraOpNumThreads: threads };

const { name, manifest, ...model } = await openModel(args.model);
const bytes = await model.bytes();
if (args.write) await writeFile(args.write, bytes);
const weights = readSafetensors(bytes).state;
const preset = manifest.preset as PresetName;
const fast: Lowering = LOWERINGS[engine === 'wasm' ? 'wasm' : 'native'];
const shape = { batch: 1, height: side, width: side };
const emit = (target: Lowering, more: Partial<EmitOptions> = {}) => {
  const start = performance.now();
  const { onnx } = emitElf({ model: preset, weights, target, shape, ...more });
  return { onnx, milliseconds: performance.now() - start };
};

const graphs: [name: string, onnx: Uint8Array][] = [];
if (args.peer) graphs.push([basename(args.peer), await readFile(args.peer)]);
graphs.push(['reference', emit(LOWERINGS.reference).onnx], ['elfin', emit(fast).onnx]);
if (args.given) {
  const told = { statistics: 'given', quadrants: 'given' } as const;
  graphs.push(['elfin, a sweep of `global`', emit(fast, told).onnx]);
  graphs.push(['elfin, the last sweep', emit(fast, { ...told, outputs: ['restored', 'background'] }).onnx]);
}
if (args.ablate) {
  for (const key of Object.keys(fast) as (keyof Lowering)[]) {
    if (fast[key] === LOWERINGS.reference[key]) continue;
    graphs.push([`elfin without ${key}`, emit({ ...fast, [key]: LOWERINGS.reference[key] }).onnx]);
  }
}

interface Contender {
  readonly name: string;
  readonly session: InferenceSession;
  readonly feeds: Record<string, Tensor>;
  readonly times: number[];
  /** Processor time of the whole process, which neighbours on a shared machine disturb less. */
  readonly processor: number[];
  output: Float32Array;
}

const image = new Float32Array(3 * side * side);
image.forEach((_, i) => {
  image[i] = 0.5 + 0.4 * Math.sin(i * 0.013) * Math.cos(Math.floor(i / side) * 0.071);
});
const contenders: Contender[] = [];
for (const [name, onnx] of graphs) {
  const session = await ort.InferenceSession.create(onnx, options);
  // What else a graph asks for does not change its work.
  const others = session.inputMetadata.slice(1).map((input) => {
    const dims = input.isTensor ? input.shape.map(Number) : [];
    const data = new Float32Array(dims.reduce((a, b) => a * b, 1)).fill(1);
    return [input.name, new ort.Tensor('float32', data, dims)] as const;
  });
  const fed = [session.inputNames[0]!, new ort.Tensor('float32', image, [1, 3, side, side])] as const;
  const feeds = Object.fromEntries([fed, ...others]);
  contenders.push({ name, session, feeds, times: [], processor: [], output: new Float32Array() });
}
for (let round = -2; round < rounds; round++) {
  for (const contender of contenders) {
    const { session, feeds, times, processor } = contender;
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
const against = (values: readonly number[], base: readonly number[]) =>
  median(values.map((value, round) => value / base[round]!)).toFixed(3);
const body = contenders.map(({ name, session, times, processor, output }) => {
  const difference = output.reduce((most, value, i) => Math.max(most, Math.abs(value - first!.output[i]!)), 0);
  const own = session.inputNames.length === 1;
  return [
    name,
    median(times).toFixed(0),
    against(times, first!.times),
    median(processor).toFixed(0),
    against(processor, first!.processor),
    own ? difference.toExponential(1) : '',
  ];
});
const head = ['graph', 'ms', `ratio to ${first!.name}`, 'processor ms', 'ratio', 'max \\|Δ\\|'];
console.log(`${name} (${preset}), ${side}×${side}, ${engine}, ${threads} thread(s), ${rounds} rounds`);
console.log(`emission: first ${emissions[0]!.toFixed(0)} ms, median ${median(emissions).toFixed(0)} ms\n`);
console.log(markdownTable([head, ...body]));
// onnxruntime-web has no way to end its threads.
process.exit();
