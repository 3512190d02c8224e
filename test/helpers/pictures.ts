import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { emitElf, type PixelImage } from '@elfin/core';
import { readSafetensors } from '@elfin/core/weights';
import * as ort from 'onnxruntime-node';
import { expect } from 'vitest';
import { seeded, seededModels } from './seeded-model.ts';

export const models = seededModels();

export function noise(width: number, height: number, channels: 3 | 4 = 3, depth: 8 | 16 = 8, seed = 5): PixelImage {
  const random = seeded(seed);
  const length = width * height * channels;
  const data = depth === 8 ? new Uint8Array(length) : new Uint16Array(length);
  for (let i = 0; i < length; i++) data[i] = random() * 2 ** depth;
  return { width, height, channels, data };
}

export function imageData({ width, height, data }: PixelImage): ImageData {
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let i = 0; i < data.length; i++) rgba[Math.floor(i / 3) * 4 + (i % 3)] = data[i]!;
  return { width, height, data: rgba, colorSpace: 'srgb', pixelFormat: 'rgba-unorm8' } as ImageData;
}

export function colour({ data, channels }: PixelImage): ArrayLike<number> {
  return channels === 3 ? data : data.filter((_, i) => i % 4 !== 3);
}

/** The picture that the derain network makes of the whole image, in bytes: ONNX Runtime and nothing of ours but the graph. */
export async function network({ width, height, data }: PixelImage): Promise<number[]> {
  const [padded, tall] = [Math.ceil(width / 16) * 16, Math.ceil(height / 16) * 16];
  const mirrored = (i: number, n: number) => {
    const period = Math.max(1, 2 * (n - 1));
    return i % period < n ? i % period : period - (i % period);
  };
  const planes = Float32Array.from({ length: 3 * padded * tall }, (_, i) => {
    const [plane, y, x] = [Math.floor(i / (padded * tall)), Math.floor(i / padded) % tall, i % padded];
    return data[(mirrored(y, height) * width + mirrored(x, width)) * 3 + plane]! / 255;
  });
  derain ??= openReference();
  const session = await derain;
  const { restored } = await session.run({ image: new ort.Tensor('float32', planes, [1, 3, tall, padded]) }, [
    'restored',
  ]);
  const out = restored!.data as Float32Array;
  return Array.from({ length: width * height * 3 }, (_, i) => {
    const [y, x] = [Math.floor(i / 3 / width), Math.floor(i / 3) % width];
    return Math.round(Math.min(1, Math.max(0, out[((i % 3) * tall + y) * padded + x]!)) * 255);
  });
}

let derain: Promise<ort.InferenceSession> | undefined;

async function openReference(): Promise<ort.InferenceSession> {
  const model = await models.resolve('derain', 'lw');
  const weights = readSafetensors(await model.bytes()).state;
  return ort.InferenceSession.create(emitElf({ model: 'elf-lw', weights, target: 'reference' }).onnx);
}

export function apart(one: ArrayLike<number>, other: ArrayLike<number>): number {
  expect(one.length).toBe(other.length);
  let most = 0;
  for (let i = 0; i < one.length; i++) most = Math.max(most, Math.abs(one[i]! - other[i]!));
  return most;
}

export async function serve(
  handler: Parameters<typeof createServer>[1],
): Promise<AsyncDisposable & { readonly url: string }> {
  const server: Server = createServer(handler!);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
