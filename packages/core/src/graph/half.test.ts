import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { buildElf } from '../model/build.ts';
import { parametersOf } from '../model/describe.ts';
import { emitElf } from '../model/emit.ts';
import { CONFIGS } from '../model/presets.ts';
import { importOrtNode } from '../runtime/node/native.ts';
import { createOrtEngine } from '../runtime/ort/ort.ts';
import type { Feeds } from '../runtime/runtime.ts';
import { readSafetensors } from '../weights/safetensors.ts';
import { loadStateDict } from '../weights/state-dict.ts';
import type { Graph, Node } from './graph.ts';
import { toHalf } from './half.ts';
import { encodeOnnx } from './onnx.ts';

const SIDE = 128;
const ROOT = new URL('../../../../packages/', import.meta.url);
const config = CONFIGS['elf-lw'];
const file = readSafetensors(readFileSync(new URL('models/derain-lw/weights.safetensors', ROOT)), 'derain-lw');
const weights = loadStateDict(file, parametersOf(config), { network: 'elf-lw' });
const engine = createOrtEngine(importOrtNode);
const build = (io: 'float' | 'uint8' = 'float') =>
  buildElf(config, (key) => weights.get(key)!.data, {
    io,
    target: 'webgpu',
    shape: { batch: 1, height: SIDE, width: SIDE },
  }).graph;

async function photo(): Promise<{ float: Feeds; bytes: Feeds }> {
  const cut = { left: 200, top: 150, width: SIDE, height: SIDE };
  const data = new Uint8Array(
    await sharp(new URL('cli/assets/rainy.jpg', ROOT).pathname).extract(cut).raw().toBuffer(),
  );
  const planes = Float32Array.from(data, (_, i) => data[(i % SIDE ** 2) * 3 + Math.floor(i / SIDE ** 2)]! / 255);
  return {
    float: { image: { type: 'float32', shape: [1, 3, SIDE, SIDE], data: planes } },
    bytes: { image: { type: 'uint8', shape: [1, SIDE, SIDE, 3], data } },
  };
}

async function run(onnx: Uint8Array, feeds: Feeds) {
  // As it stands: the optimiser would take roundings out again.
  const { handle } = await engine.load(onnx, { graphOptimizationLevel: 'disabled', logSeverityLevel: 4 });
  const { restored, sums } = await engine.run(handle, feeds);
  await engine.unload(handle);
  return { restored: restored!.data, sums: sums!.data };
}

/**
 * What a GPU with float16 stores: each value is computed in float32, since this processor has no float16, and rounded to
 * float16 before anyone reads it.
 */
function rounded(graph: Graph): Graph {
  const halves = new Set(graph.initialisers.filter(({ type }) => type === 'float16').map(({ name }) => name));
  const nodes: Node[] = [];
  const cast = (from: string, to: string, type: number) =>
    nodes.push({ name: `${to}/Round`, op: 'Cast', inputs: [from], outputs: [to], attributes: { to: { int: type } } });
  for (const name of halves) cast(name, `${name}.wide`, 1);
  for (const node of graph.nodes) {
    const to = node.attributes.to as { readonly int: number } | undefined;
    const inputs = node.inputs.map((name) => (halves.has(name) ? `${name}.wide` : name));
    const half = to ? to.int === 10 : node.op !== 'Shape' && node.inputs.some((name) => halves.has(name));
    if (!half) {
      nodes.push({ ...node, inputs });
      continue;
    }
    nodes.push({
      ...node,
      inputs,
      outputs: node.outputs.map((name) => `${name}.exact`),
      attributes: to ? { to: { int: 1 } } : node.attributes,
    });
    for (const name of node.outputs) {
      cast(`${name}.exact`, name, 10);
      cast(name, `${name}.wide`, 1);
      halves.add(name);
    }
  }
  return { ...graph, nodes };
}

function apart(one: ArrayLike<number>, other: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < one.length; i++) most = Math.max(most, Math.abs(one[i]! - other[i]!));
  return most;
}

test('a photo with every value rounded to float16 is the same within 2/255, and sums stay sums', async () => {
  const { float } = await photo();
  const full = await run(encodeOnnx(build()), float);
  const half = await run(encodeOnnx(rounded(toHalf(build()))), float);
  expect(apart(half.restored, full.restored)).toBeGreaterThan(0);
  expect(apart(half.restored, full.restored)).toBeLessThanOrEqual(2 / 255);
  const largest = apart(full.sums, new Float32Array(full.sums.length));
  expect(apart(half.sums, full.sums) / largest).toBeLessThan(0.01);
});

test('ONNX Runtime takes the graph itself, floats and bytes, at the same borders', async () => {
  const { float, bytes } = await photo();
  const full = await run(encodeOnnx(build('uint8')), bytes);
  const half = await run(encodeOnnx(toHalf(build('uint8'))), bytes);
  expect(apart(half.restored, full.restored)).toBeLessThanOrEqual(2);
  const options = { model: 'elf-lw', weights, target: 'webgpu' } as const;
  const emitted = emitElf({ ...options, precision: 'float16' });
  expect(emitted).toMatchObject({ inputs: emitElf(options).inputs, outputs: emitElf(options).outputs });
  const free = await run(emitted.onnx, float);
  expect(apart(free.restored, (await run(encodeOnnx(build()), float)).restored)).toBeLessThanOrEqual(2 / 255);
});

test('given statistics come in as they are', () => {
  const { graph } = buildElf(config, (key) => weights.get(key)!.data, { statistics: 'given', quadrants: 'given' });
  const half = toHalf(graph);
  const readers = (name: string) => half.nodes.filter(({ inputs }) => inputs.includes(name)).map(({ op }) => op);
  expect(new Set(readers('statistics'))).toEqual(new Set(['Slice']));
  expect(new Set([...readers('image'), ...readers('quadrants'), ...readers('core')])).toEqual(new Set(['Cast']));
});
