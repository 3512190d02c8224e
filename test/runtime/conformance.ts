import type { Feeds, ModelRef, Outputs, Runtime, Tensor } from '@elfin/core';
import { describeElf, emitElf } from '@elfin/core';
import { readSafetensors } from '@elfin/core/weights';
import * as ort from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seeded, seededModel } from '../helpers/seeded-model.ts';

const OWN = { io: 'float', statistics: 'own', quadrants: 'own' } as const;
const GIVEN = { io: 'float', statistics: 'given', quadrants: 'given' } as const;

/** What a runtime must do to be one; `make` gives a fresh runtime, `provider` is what it must say that it runs on. */
export function conformance(name: string, make: () => Runtime & AsyncDisposable, provider: string): void {
  describe(name, () => {
    let model: ModelRef;
    let runtime: ReturnType<typeof make>;
    beforeAll(async () => {
      model = await seededModel();
      runtime = make();
      // Held open, so that the tests below share these two graphs instead of loading them anew each time.
      await runtime.open(model, OWN);
      await runtime.open(model, GIVEN);
    });
    afterAll(() => runtime[Symbol.asyncDispose]());

    test('computes the network as it is written down', async () => {
      const feeds = picture(64, 96);
      const expected = await reference(model, feeds);
      await using session = await runtime.open(model, OWN);
      const outputs = await session.run(feeds);
      expect(Object.keys(outputs).toSorted()).toEqual(['background', 'restored', 'sums']);
      for (const output of ['restored', 'background', 'sums']) {
        expect(outputs[output]!.shape).toEqual(expected[output]!.shape);
        expect(distance(outputs[output]!, expected[output]!)).toBeLessThan(output === 'sums' ? 0.05 : 2e-4);
      }
    });

    test('tells what it runs on, and why on nothing better', async () => {
      await using session = await runtime.open(model, OWN);
      expect(session.backend).toMatchObject({ provider, threads: expect.any(Number) });
      expect(session.backend.implementation).toMatch(/^onnxruntime-(node|web) \d+\.\d+\.\d+$/);
      expect(session.backend.declined.map((entry) => entry.provider)).toContain('webgpu');
      for (const { reason } of session.backend.declined) expect(reason).toMatch(/^[^\n]{10,}$/);
    });

    test('takes any sides that are multiples of 16, and several images at once', async () => {
      await using session = await runtime.open(model, OWN);
      const [one, other] = [picture(32, 48, 1), picture(32, 48, 2)];
      const pair = { image: stack(one.image!, other.image!) };
      const { restored } = await session.run(pair, { outputs: ['restored'] });
      const first = await session.run(one, { outputs: ['restored'] });
      const second = await session.run(other, { outputs: ['restored'] });
      expect(distance(restored!, stack(first.restored!, second.restored!))).toBeLessThan(2e-4);
    });

    test('a fixed shape is that shape and no other', async () => {
      await using session = await runtime.open(model, { ...OWN, shape: { batch: 1, height: 32, width: 48 } });
      expect((await session.run(picture(32, 48))).restored!.shape).toEqual([1, 3, 32, 48]);
      await expect(session.run(picture(48, 48))).rejects.toMatchObject({ code: 'OPTION_INVALID' });
    });

    test('bytes in and out are the floats, clamped and rounded', async () => {
      await using floats = await runtime.open(model, OWN);
      await using bytes = await runtime.open(model, { ...OWN, io: 'uint8' });
      const random = seeded(3);
      const data = Uint8Array.from({ length: 32 * 32 * 3 }, () => random() * 256);
      const planes = Float32Array.from(data, (_, i) => data[(i % 1024) * 3 + Math.floor(i / 1024)]! / 255);
      const { restored } = await floats.run({ image: { type: 'float32', shape: [1, 3, 32, 32], data: planes } });
      const told = await bytes.run({ image: { type: 'uint8', shape: [1, 32, 32, 3], data } });
      expect(told.restored).toMatchObject({ type: 'uint8', shape: [1, 32, 32, 3] });
      const off = [...told.restored!.data].filter((value, i) => {
        const float = restored!.data[(i % 3) * 1024 + Math.floor(i / 3)]! * 255;
        return Math.abs(value - Math.min(255, Math.max(0, float))) > 0.51;
      });
      expect(off).toEqual([]);
    });

    test("given an image's own statistics and quadrants, the result is the same", async () => {
      await using own = await runtime.open(model, OWN);
      await using given = await runtime.open(model, GIVEN);
      const feeds = picture(64, 64);
      const whole = await own.run(feeds);
      const means = new Float32Array(whole.sums!.data.length);
      for (const { level, offset, length } of describeElf('elf-lw').statistics) {
        for (let i = offset; i < offset + length; i++) means[i] = (whole.sums!.data[i]! * 4 ** level) / (32 * 32);
      }
      const told = await given.run({
        ...feeds,
        quadrants: quadrants(feeds.image!),
        statistics: { type: 'float32', shape: [1, means.length], data: means },
        core: { type: 'float32', shape: [1, 1, 32, 32], data: new Float32Array(1024).fill(1) },
      });
      expect(distance(told.restored!, whole.restored!)).toBeLessThan(1e-3);
    });

    test('given them as bytes, the result and the sums are those of the floats', async () => {
      await using floats = await runtime.open(model, GIVEN);
      await using bytes = await runtime.open(model, { ...GIVEN, io: 'uint8' });
      const random = seeded(5);
      const values = (length: number, most: number) => Uint8Array.from({ length }, () => random() * most);
      const fed: Feeds = {
        image: { type: 'uint8', shape: [1, 32, 48, 3], data: values(32 * 48 * 3, 256) },
        quadrants: { type: 'uint8', shape: [1, 16, 24, 12], data: values(16 * 24 * 12, 256) },
        core: { type: 'uint8', shape: [1, 16, 24, 1], data: new Uint8Array(16 * 24).fill(1, 0, 8 * 24) },
      };
      const length = describeElf('elf-lw').statistics.reduce((sum, slot) => sum + slot.length, 0);
      const means = Float32Array.from({ length }, () => 0.1 + 0.4 * random());
      const statistics: Tensor = { type: 'float32', shape: [1, length], data: means };
      const asFloats = ({ shape: [, h = 0, w = 0, c = 0], data }: Tensor, most: number): Tensor => ({
        type: 'float32',
        shape: [1, c, h, w],
        data: Float32Array.from(data, (_, i) => data[(i % (h * w)) * c + Math.floor(i / (h * w))]! / most),
      });
      const told = await bytes.run({ ...fed, statistics });
      const plain = await floats.run({
        image: asFloats(fed.image!, 255),
        quadrants: asFloats(fed.quadrants!, 255),
        core: asFloats(fed.core!, 1),
        statistics,
      });
      const largest = Array.from(plain.sums!.data).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      expect(distance(told.sums!, plain.sums!) / largest).toBeLessThan(1e-4);
      for (const [name, shape] of [['restored', [1, 32, 48, 3]] as const, ['background', [1, 16, 24, 3]] as const]) {
        expect(told[name]).toMatchObject({ type: 'uint8', shape });
        const size = shape[1] * shape[2];
        const off = [...told[name]!.data].filter((value, i) => {
          const float = plain[name]!.data[(i % 3) * size + Math.floor(i / 3)]! * 255;
          return Math.abs(value - Math.min(255, Math.max(0, float))) > 0.6;
        });
        expect(off).toEqual([]);
      }
    });

    test('overlapping calls each get their own answer', async () => {
      await using session = await runtime.open(model, OWN);
      const feeds = Array.from({ length: 6 }, (_, seed) => picture(32, 32, seed));
      const together = await Promise.all(feeds.map((feed) => session.run(feed)));
      for (const [i, feed] of feeds.entries()) {
        expect(distance((await session.run(feed)).restored!, together[i]!.restored!)).toBeLessThan(1e-5);
      }
    });

    test("the caller's arrays stay his", async () => {
      await using session = await runtime.open(model, OWN);
      const feeds = picture(32, 32);
      const before = feeds.image!.data.slice();
      await session.run(feeds);
      expect(feeds.image!.data).toEqual(before);
    });

    test('an aborted call ends in ABORTED, before, while waiting and under way; the session goes on', async () => {
      await using session = await runtime.open(model, OWN);
      const reason = new Error('enough');
      const aborted = expect.objectContaining({ code: 'ABORTED', cause: reason });
      await expect(session.run(picture(32, 32), { signal: AbortSignal.abort(reason) })).rejects.toEqual(aborted);
      const controller = new AbortController();
      const { signal } = controller;
      const calls = [session.run(picture(64, 64), { signal }), session.run(picture(32, 32), { signal })];
      controller.abort(reason);
      for (const outcome of await Promise.allSettled(calls)) expect(outcome).toMatchObject({ reason: aborted });
      expect((await session.run(picture(32, 32))).restored!.shape).toEqual([1, 3, 32, 32]);
    });

    test('a deadline that has passed is told as such', async () => {
      await using session = await runtime.open(model, OWN);
      const late = { code: 'DEADLINE_EXCEEDED' };
      await expect(session.run(picture(32, 32), { deadline: Date.now() - 1 })).rejects.toMatchObject(late);
      const slow = session.run(picture(64, 64));
      await expect(session.run(picture(32, 32), { deadline: Date.now() + 1 })).rejects.toMatchObject(late);
      await slow;
    });

    test('feeds that do not fit are refused by name', async () => {
      await using session = await runtime.open(model, GIVEN);
      const { image } = picture(32, 32);
      const refused = (feeds: Feeds, message: RegExp) =>
        expect(session.run(feeds)).rejects.toMatchObject({
          code: 'OPTION_INVALID',
          message: expect.stringMatching(message),
        });
      await refused({ image: image! }, /quadrants/);
      await refused({ image: { ...image!, shape: [1, 3, 32, 48] } as Tensor }, /image/);
      await refused({ image: { type: 'uint8', shape: [1, 3, 32, 32], data: new Uint8Array(3072) } }, /image/);
      const feeds = { ...picture(32, 32), extra: image! };
      await using own = await runtime.open(model, OWN);
      await expect(own.run(feeds)).rejects.toMatchObject({
        code: 'OPTION_INVALID',
        message: expect.stringMatching(/extra/),
      });
    });

    test('a disposed session says so; others of the same model are not touched', async () => {
      const [one, other] = await Promise.all([runtime.open(model, OWN), runtime.open(model, OWN)]);
      await one.dispose();
      await one.dispose();
      await expect(one.run(picture(32, 32))).rejects.toMatchObject({ code: 'DISPOSED' });
      expect((await other.run(picture(32, 32))).restored!.shape).toEqual([1, 3, 32, 32]);
      await other.dispose();
    });

    test('weights that are not what their digest says are refused', async () => {
      const bytes = async () => {
        const changed = (await model.bytes()).slice();
        changed[changed.length - 1]! ^= 1;
        return changed;
      };
      const swapped = runtime.open({ ...model, digest: 'f'.repeat(64) }, OWN);
      await expect(swapped).rejects.toMatchObject({ code: 'MODEL_DIGEST_MISMATCH' });
      const other = { ...model, bytes, manifest: { ...model.manifest, preset: 'alformer' } } as const;
      await expect(runtime.open(other, OWN)).rejects.toMatchObject({ code: 'MODEL_DIGEST_MISMATCH' });
    });

    test('weights of another preset, and bytes that are none, are refused', async () => {
      const other = { ...model, manifest: { ...model.manifest, preset: 'elf' } } as const;
      await expect(runtime.open(other, OWN)).rejects.toMatchObject({ code: 'WEIGHTS_MISMATCH' });
    });

    test('opening can be aborted', async () => {
      const signal = AbortSignal.abort('no');
      await expect(runtime.open(model, OWN, { signal })).rejects.toMatchObject({ code: 'ABORTED' });
    });
  });
}

/** Noise on a ramp, 0…1. */
export function picture(height: number, width: number, seed = 0): Feeds {
  const random = seeded(seed);
  const data = Float32Array.from({ length: 3 * height * width }, (_, i) => 0.5 * random() + (i % width) / (2 * width));
  return { image: { type: 'float32', shape: [1, 3, height, width], data } };
}

/** The network without any rewriting, through ONNX Runtime's own interface and nothing of ours. */
async function reference(model: ModelRef, feeds: Feeds): Promise<Outputs> {
  const weights = readSafetensors(await model.bytes()).state;
  const { onnx } = emitElf({ model: model.manifest.preset, weights, target: 'reference' });
  const session = await ort.InferenceSession.create(onnx, { executionProviders: ['cpu'] });
  const { type, data, shape } = feeds.image!;
  const results = await session.run({ image: new ort.Tensor(type, data, shape) });
  const outputs = Object.entries(results).map(([name, value]) => [
    name,
    { type: 'float32', shape: [...value.dims], data: value.data },
  ]);
  await session.release();
  return Object.fromEntries(outputs);
}

function distance(one: Tensor, other: Tensor): number {
  expect(one.data.length).toBe(other.data.length);
  let most = 0;
  for (let i = 0; i < one.data.length; i++) {
    const off = Math.abs(one.data[i]! - other.data[i]!);
    if (!(off <= most)) most = off;
  }
  return most;
}

function stack(one: Tensor, other: Tensor): Tensor {
  const data = new Float32Array(2 * one.data.length);
  data.set(one.data);
  data.set(other.data, one.data.length);
  return { type: 'float32', shape: [2, ...one.shape.slice(1)], data };
}

/** The image's four quarters as twelve channels, written out once more in the plainest way. */
function quadrants({ shape, data }: Tensor): Tensor {
  const [, , height = 0, width = 0] = shape;
  const [h, w] = [height / 2, width / 2];
  const out = new Float32Array(12 * h * w);
  for (let i = 0; i < out.length; i++) {
    const [channel, y, x] = [Math.floor(i / (h * w)), Math.floor(i / w) % h, i % w];
    const [corner, colour] = [Math.floor(channel / 3), channel % 3];
    const [top, left] = [(corner >> 1) * h, (corner & 1) * w];
    out[i] = data[(colour * height + top + y) * width + left + x]!;
  }
  return { type: 'float32', shape: [1, 12, h, w], data: out };
}
