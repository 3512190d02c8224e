import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  cut,
  distance,
  magnitude,
  openElf,
  type Plain,
  quadrantsOf,
  readGolden,
} from '../../../../../test/helpers/elf.ts';
import type { Tensor } from '../../base/tensor.ts';
import { createGraph, type Graph, type ParameterSource } from '../../graph/graph.ts';
import * as op from '../../graph/ops.ts';
import { symbol } from '../../graph/shape.ts';
import { type BuildOptions, buildElf } from '../../model/build.ts';
import type { ElfConfig } from '../../model/elf.ts';
import { PRESETS } from '../../model/manifest.ts';
import type { Feeds } from '../runtime.ts';
import { kernelBytes } from './load-kernels.ts';
import { createProgram, type Program } from './program.ts';

const bytes = await kernelBytes();
const modules = { relaxed: new WebAssembly.Module(bytes.relaxed), simd: new WebAssembly.Module(bytes.simd) };

const graphOf = (golden: ReturnType<typeof readGolden>, options: BuildOptions = {}): Graph => {
  const source: ParameterSource = (key, shape) =>
    (golden.weights.get(key)?.data as Float32Array | undefined) ?? new Float32Array(shape.reduce((a, b) => a * b, 1));
  return buildElf(golden.model as ElfConfig, source, { target: 'simd', opset: 20, ...options }).graph;
};
const tensor = ({ shape, data }: Plain | Tensor): Tensor =>
  data instanceof Uint8Array ? { type: 'uint8', shape, data } : { type: 'float32', shape, data: data as Float32Array };
const feeds = (plain: Readonly<Record<string, Plain | Tensor>>): Feeds =>
  Object.fromEntries(Object.entries(plain).map(([name, value]) => [name, tensor(value)]));
const noise = (shape: readonly number[], seed: number): Plain => {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  return { shape, data: Float32Array.from({ length: shape.reduce((a, b) => a * b) }, next) };
};

describe.each(PRESETS)('%s', (preset) => {
  const golden = readGolden(preset);
  const input = golden.input as Plain;
  const [, , height, width] = input.shape as [number, number, number, number];

  test.each(['relaxed', 'simd'] as const)('equals the authors’ network (%s)', (variant) => {
    const { restored, background } = createProgram(modules[variant], graphOf(golden)).run(feeds({ image: input }));
    expect(distance(restored!, golden.output)).toBeLessThan(1e-4);
    expect(distance(background!, golden.background)).toBeLessThan(1e-4);
  });

  test('equals ONNX Runtime where statistics and quadrants are given, over a part of the picture', async () => {
    const options = { statistics: 'given', quadrants: 'given' } as const;
    const reference = await openElf({ model: golden.model, weights: golden.weights, target: 'reference', ...options });
    const core = noise([1, 1, height / 2, width / 2], 1);
    core.data.forEach((_, i) => {
      core.data[i] = i % (width / 2) < 16 ? 1 : 0;
    });
    const length = reference.emitted.statistics.reduce((sum, slot) => sum + slot.length, 0);
    const statistics = { shape: [1, length], data: noise([length], 2).data.map((x) => x + 0.1) };
    const plain = { image: input, quadrants: quadrantsOf(input), statistics, core };
    const expected = await reference.run(plain);
    const told = createProgram(modules.relaxed, graphOf(golden, options)).run(feeds(plain));
    expect(distance(told.restored!, expected.restored!)).toBeLessThan(1e-4);
    expect(distance(told.background!, expected.background!)).toBeLessThan(1e-4);
    const largest = magnitude(expected.sums!);
    expect(distance(told.sums!, expected.sums!) / largest).toBeLessThan(1e-5);
  });

  test('bytes in and out are the floats, clamped and rounded', () => {
    const image = Uint8Array.from({ length: height * width * 3 }, (_, i) => (i * 7919) % 256);
    const planes = Float32Array.from(image, (_, i) => {
      const [pixel, channel] = [i % (height * width), Math.floor(i / (height * width))];
      return image[pixel * 3 + channel]! / 255;
    });
    const told = createProgram(modules.relaxed, graphOf(golden, { io: 'uint8' })).run({
      image: { type: 'uint8', shape: [1, height, width, 3], data: image },
    });
    const floats = createProgram(modules.relaxed, graphOf(golden)).run({
      image: { type: 'float32', shape: input.shape, data: planes },
    });
    for (const name of ['restored', 'background'] as const) {
      const [, , h, w] = floats[name]!.shape as [number, number, number, number];
      expect(told[name]).toMatchObject({ type: 'uint8', shape: [1, h, w, 3] });
      told[name]!.data.forEach((value, i) => {
        const float = floats[name]!.data[(i % 3) * h * w + Math.floor(i / 3)]! * 255;
        if (Math.abs(value - Math.min(255, Math.max(0, float))) > 0.51) expect([name, i, value]).toEqual(float);
      });
    }
    expect(told.sums!.type).toBe('float32');
  });
});

describe('any size', () => {
  const golden = readGolden('elf-lw');
  const program = createProgram(modules.relaxed, graphOf(golden));
  const side = fc.integer({ min: 1, max: 9 }).map((n) => 16 * n);

  test('from 16×16 up equals ONNX Runtime, and comes back to an earlier one unharmed', async () => {
    const reference = await openElf({ model: golden.model, weights: golden.weights, target: 'native' });
    await fc.assert(
      fc.asyncProperty(side, side, fc.nat(1000), async (h, w, seed) => {
        const image = noise([1, 3, h, w], seed);
        const [told, expected] = [program.run(feeds({ image })), await reference.run({ image })];
        expect(distance(told.restored!, expected.restored!)).toBeLessThan(1e-4);
        expect(distance(told.sums!, expected.sums!) / magnitude(expected.sums!)).toBeLessThan(1e-5);
      }),
      {
        numRuns: 25,
        examples: [
          [16, 16, 1],
          [16, 144, 2],
          [48, 16, 3],
        ],
      },
    );
  });

  test('several images at once are what each is by itself', () => {
    const pair = noise([2, 3, 32, 48], 5);
    const each = [0, 1].map((n) => {
      const data = (pair.data as Float32Array).subarray(n * 3 * 32 * 48, (n + 1) * 3 * 32 * 48);
      return program.run(feeds({ image: { shape: [1, 3, 32, 48], data } }));
    });
    const together = program.run(feeds({ image: pair }), ['restored', 'sums']);
    expect(Object.keys(together).toSorted()).toEqual(['restored', 'sums']);
    for (const name of ['restored', 'sums'] as const) {
      const joined = Float32Array.from(each.flatMap((outputs) => [...outputs[name]!.data]));
      expect(together[name]!.data).toEqual(joined);
    }
  });

  test('memory stays what it was after the first tile of a size', () => {
    const image = noise([1, 3, 48, 48], 9);
    const first = program.run(feeds({ image }));
    const { bytes } = program;
    for (let tile = 0; tile < 100; tile++) program.run(feeds({ image: cut(image, [0, 16], [0, 16]) }));
    expect(program.run(feeds({ image })).restored!.data).toEqual(first.restored!.data);
    expect(program.bytes).toBe(bytes);
  });

  test.each([
    [[1, 3, 24, 32], /image of 32×24.*multiples of 16/],
    [[1, 3, 40, 40], /image/],
  ])('sides %j, which the network cannot halve, are refused', (shape, message) => {
    const refusal = { code: 'OPTION_INVALID', message: expect.stringMatching(message) };
    expect(() => program.run(feeds({ image: noise(shape, 1) }))).toThrow(expect.objectContaining(refusal));
  });
});

describe('refuses in time', () => {
  const [N, H, W] = [symbol('N'), symbol('H'), symbol('W')];
  const make = (
    work: (
      s: ReturnType<typeof createGraph>['root'],
      x: ReturnType<ReturnType<typeof createGraph>['input']>,
    ) => ReturnType<typeof op.add>,
  ): Graph => {
    const builder = createGraph('test', 20, (_, shape) => new Float32Array(shape.reduce((a, b) => a * b, 1)));
    const x = builder.input('image', 'float32', [N, 8, H, W]);
    const y = work(builder.root, x);
    builder.output('y', y, y.shape);
    return builder.finish();
  };

  test.each<[string, Graph]>([
    ['Sigmoid of [N, 8, H, W]', make((s, x) => op.sigmoid(s, x))],
    ['Sqrt of [N, 8, H, W]', make((s, x) => op.sqrt(s, x))],
    ['Div of [N, 8, H, W] and [1, 8, 1, 1]', make((s, x) => op.div(s, x, s.constant(Array(8).fill(2), [1, 8, 1, 1])))],
    ['Conv of [N, 8, H, W]', make((s, x) => op.conv(s, x, s.weight(s.parameter('w', [4, 8, 5, 5]))))],
  ])('%s', (what, graph) => {
    let program: Program | undefined;
    const work = () => {
      program = createProgram(modules.simd, graph);
    };
    const refusal = {
      code: 'RUNTIME_UNAVAILABLE',
      message: expect.stringContaining(`the engine does not know ${what}`),
    };
    expect(work).toThrow(expect.objectContaining(refusal));
    expect(program).toBeUndefined();
  });

  test('memory beyond what it may have, and goes on with smaller pictures', () => {
    const program = createProgram(modules.relaxed, graphOf(readGolden('elf-lw')), 4 * 2 ** 20);
    const big = () => program.run(feeds({ image: noise([1, 3, 512, 512], 1) }));
    expect(big).toThrow(
      expect.objectContaining({ code: 'OUT_OF_MEMORY', message: expect.stringMatching(/smaller tiles/) }),
    );
    expect(program.run(feeds({ image: noise([1, 3, 32, 32], 1) })).restored!.shape).toEqual([1, 3, 32, 32]);
  });
});
