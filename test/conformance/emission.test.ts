import { fromBinary } from '@bufbuild/protobuf';
import { type CONFIGS, type EmitOptions, emitElf, isElfinError } from '@elfin/core';
import { describe, expect, test } from 'vitest';
import { distance, magnitude, openElf, type Plain, readGolden } from '../helpers/elf.ts';
import { ModelProtoSchema } from '../helpers/onnx/onnx_pb.js';

const golden = readGolden('elf-lw');
const options: EmitOptions = { model: golden.model, weights: golden.weights };
const [, , H, W] = golden.input.shape as [number, number, number, number];

/** N 3 H W in 0…1 → N H W 3 bytes. */
function bytesOf({ shape, data }: Plain): Plain {
  const [n, , h, w] = shape as [number, number, number, number];
  const out = new Uint8Array(data.length);
  for (let i = 0; i < out.length; i++) {
    const [c, pixel, image] = [i % 3, Math.floor(i / 3) % (h * w), Math.floor(i / 3 / (h * w))];
    out[i] = Math.round(Math.min(1, Math.max(0, data[(image * 3 + c) * h * w + pixel]!)) * 255);
  }
  return { shape: [n, h, w, 3], data: out };
}

function failure(work: () => unknown) {
  try {
    work();
  } catch (error) {
    if (isElfinError(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('input and output', () => {
  test('bytes in and out equal floats to within rounding', async () => {
    const floats = await openElf(options);
    const bytes = await openElf({ ...options, io: 'uint8' });
    const image = bytesOf(golden.input);
    const [n, h, w] = image.shape as [number, number, number];
    const decoded = new Float32Array(image.data.length);
    image.data.forEach((value, i) => {
      decoded[((i % 3) * h + Math.floor(i / 3 / w)) * w + (Math.floor(i / 3) % w)] = value / 255;
    });
    const expected = await floats.run({ image: { shape: [n, 3, h, w], data: decoded } });
    const got = await bytes.run({ image });
    expect(got.restored!.shape).toEqual([1, H, W, 3]);
    expect(distance(got.restored!, bytesOf(expected.restored!))).toBeLessThanOrEqual(1);
    const differing = bytesOf(expected.restored!).data.filter((value, i) => value !== got.restored!.data[i]).length;
    expect(differing / got.restored!.data.length).toBeLessThan(0.001);
    expect(got.background!.shape).toEqual([1, H / 2, W / 2, 3]);
    expect(distance(got.background!, bytesOf(expected.background!))).toBeLessThanOrEqual(1);
  });

  test('a batch is its images one by one', async () => {
    const { run } = await openElf(options);
    const flipped = { shape: golden.input.shape, data: golden.input.data.toReversed() };
    const both = await run({
      image: { shape: [2, 3, H, W], data: Float32Array.from([...golden.input.data, ...flipped.data]) },
    });
    const half = both.restored!.data.length / 2;
    for (const [i, image] of [golden.input, flipped].entries()) {
      const alone = await run({ image });
      const part = { shape: image.shape, data: both.restored!.data.slice(i * half, (i + 1) * half) };
      expect(distance(part, alone.restored!)).toBeLessThan(1e-5);
    }
  });

  test('flat pictures, where variances vanish, stay finite and near the reference', async () => {
    const reference = await openElf({ ...options, target: 'reference' });
    const flat = await Promise.all(
      [0, 1, 255].map(async (value) => {
        const image = { shape: golden.input.shape, data: new Float32Array(golden.input.data.length).fill(value) };
        return { value, image, expected: await reference.run({ image }) };
      }),
    );
    for (const target of ['native', 'wasm', 'webgpu'] as const) {
      const lowered = await openElf({ ...options, target });
      for (const { value, image, expected } of flat) {
        const got = await lowered.run({ image });
        expect(got.restored!.data.every(Number.isFinite)).toBe(true);
        // Black is ill-conditioned: PyTorch's own float32 is 3e-4 off its float64 there.
        expect(distance(got.restored!, expected.restored!)).toBeLessThan(2e-3 * Math.max(1, value));
      }
    }
  });

  test('a fixed shape changes nothing but what it accepts', async () => {
    const free = await openElf(options);
    const fixed = await openElf({ ...options, shape: { batch: 1, height: H, width: W } });
    const [a, b] = [await free.run({ image: golden.input }), await fixed.run({ image: golden.input })];
    for (const name of ['restored', 'background']) expect(distance(a[name]!, b[name]!)).toBeLessThan(1e-5);
    const largest = magnitude(a.sums!);
    expect(distance(a.sums!, b.sums!) / largest).toBeLessThan(1e-5);
    expect(fixed.emitted.inputs).toEqual([{ name: 'image', type: 'float32', shape: [1, 3, H, W] }]);
    await expect(fixed.run({ image: { shape: [1, 3, W, H], data: golden.input.data } })).rejects.toThrow();
  });

  test('ports bear the contract’s names and shapes', () => {
    const { inputs, outputs } = emitElf({ ...options, statistics: 'given', quadrants: 'given', io: 'uint8' });
    expect(inputs.map(({ name, type, shape }) => [name, type, shape.join(' ')])).toEqual([
      ['image', 'uint8', 'N H W 3'],
      ['quadrants', 'uint8', 'N H/2 W/2 12'],
      ['statistics', 'float32', '1 4208'],
      ['core', 'uint8', 'N H/2 W/2 1'],
    ]);
    expect(outputs.map(({ name, type, shape }) => [name, type, shape.join(' ')])).toEqual([
      ['restored', 'uint8', 'N H W 3'],
      ['background', 'uint8', 'N H/2 W/2 3'],
      ['sums', 'float32', 'N 4208'],
    ]);
  });

  test('outputs left out take their work with them', async () => {
    const nodes = (outputs?: EmitOptions['outputs']) =>
      fromBinary(ModelProtoSchema, emitElf({ ...options, statistics: 'given', ...(outputs && { outputs }) }).onnx)
        .graph!.node;
    const convolutions = (list: ReturnType<typeof nodes>) => list.filter(({ opType }) => opType === 'Conv').length;
    // Queries and keys of twelve blocks, two convolutions each; the MAM's two depthwise ones, the query's stem, and the two
    // sums of each of their norms.
    expect(convolutions(nodes()) - convolutions(nodes(['restored', 'background']))).toBe(12 * 4 + 3 + 4);
  });
});

describe('the file', () => {
  test('has the same bytes every time, whatever the order of the weights', () => {
    const shuffled = new Map([...golden.weights].reverse());
    expect(Buffer.from(emitElf(options).onnx).equals(emitElf({ ...options, weights: shuffled }).onnx)).toBe(true);
  });

  test('uses standard operators of the opset asked for, in order, each value named once', () => {
    for (const opset of [17, 18, 19, 20]) {
      const model = fromBinary(
        ModelProtoSchema,
        emitElf({ ...options, opset, statistics: 'given', quadrants: 'given' }).onnx,
      );
      expect(model.opsetImport.map(({ domain, version }) => [domain, Number(version)])).toEqual([['', opset]]);
      const graph = model.graph!;
      const known = new Set(['', ...graph.input.map(({ name }) => name), ...graph.initializer.map(({ name }) => name)]);
      for (const node of graph.node) {
        expect(node.domain).toBe('');
        expect(node.input.filter((name) => !known.has(name))).toEqual([]);
        expect(node.output.filter((name) => known.has(name))).toEqual([]);
        for (const name of node.output) known.add(name);
      }
      expect([...graph.output, ...graph.valueInfo].filter(({ name }) => !known.has(name))).toEqual([]);
    }
  });

  test.each([17, 18, 19, 20])('gives the golden output at opset %i', async (opset) => {
    const { run } = await openElf({ ...options, opset });
    expect(distance((await run({ image: golden.input })).restored!, golden.output)).toBeLessThan(1e-4);
  });

  test('tells sides that a runtime cannot infer, and no others', () => {
    const told = (given: EmitOptions) => fromBinary(ModelProtoSchema, emitElf(given).onnx).graph!.valueInfo;
    const open = told(options);
    expect(open.length).toBeGreaterThan(500);
    for (const { type } of open) {
      const { shape } = type!.value.value as { shape: { dim: { value: { case?: string } }[] } };
      expect(shape.dim.map(({ value }) => value.case)).toContain('dimParam');
    }
    expect(told({ ...options, shape: { batch: 1, height: H, width: W } })).toEqual([]);
  });

  test('stores weights in half the bytes when asked', async () => {
    const half = await openElf({ ...options, storage: 'float16' });
    const graph = (emitted: { onnx: Uint8Array }) => fromBinary(ModelProtoSchema, emitted.onnx).graph!;
    const weightBytes = (emitted: { onnx: Uint8Array }) =>
      graph(emitted).initializer.reduce((sum, { rawData }) => sum + rawData.length, 0);
    expect(weightBytes(half.emitted) / weightBytes(emitElf(options))).toBeLessThan(0.6);
    const { restored } = await half.run({ image: golden.input });
    const difference = distance(restored!, golden.output);
    expect(difference).toBeGreaterThan(0);
    expect(difference).toBeLessThan(5e-3);
  });
});

describe('refusals', () => {
  test('all that is wrong with the weights in one error', () => {
    const weights = new Map(golden.weights);
    weights.delete('dsnet.tail.weight');
    weights.set('ssnet.extra', { dtype: 'F32', shape: [1], data: new Float32Array(1) });
    weights.set('ssnet.tail.weight', { dtype: 'F32', shape: [3], data: new Float32Array(3) });
    const error = failure(() => emitElf({ ...options, weights }));
    expect(error.code).toBe('WEIGHTS_MISMATCH');
    for (const key of ['dsnet.tail.weight', 'ssnet.extra', 'ssnet.tail.weight']) expect(error.message).toContain(key);
    expect(failure(() => emitElf({ ...options, model: 'elf-lw' })).code).toBe('WEIGHTS_MISMATCH');
  });

  test('weights that are not numbers', () => {
    const tail = golden.weights.get('dsnet.tail.weight')!;
    const weights = new Map(golden.weights).set('dsnet.tail.weight', { ...tail, data: tail.data.with(7, Number.NaN) });
    expect(failure(() => emitElf({ ...options, weights })).code).toBe('WEIGHTS_NOT_FINITE');
  });

  test('sides, opsets and names that do not exist', () => {
    const codes = [
      () => emitElf({ ...options, shape: { batch: 1, height: 100, width: 96 } }),
      () => emitElf({ ...options, opset: 21 }),
      () => emitElf({ ...options, model: 'elf-xl' as keyof typeof CONFIGS }),
    ].map((work) => failure(work).code);
    expect(codes).toEqual(['OPTION_INVALID', 'OPTION_INVALID', 'OPTION_INVALID']);
  });
});
