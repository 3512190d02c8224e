import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Manifest, ModelRef, PixelImage, PresetName } from '@elfin/core';
import sharp from 'sharp';

/** Weights from a safetensors file, whatever their preset. */
export async function readModel(path: string, preset: PresetName, crop: number): Promise<ModelRef> {
  const bytes = new Uint8Array(await readFile(path));
  const digest = createHash('sha256').update(bytes).digest('hex');
  const manifest: Manifest = {
    format: 1,
    preset,
    task: 'derain',
    variant: 'bench',
    crop,
    sha256: digest,
    dtype: 'float32',
    licence: 'MIT',
    data: [],
    scores: [],
  };
  return { name: `derain-lw-bench-${digest.slice(0, 12)}`, digest, manifest, bytes: async () => bytes };
}

/** A photo's pixels, enlarged or shrunk by `scale`. */
export async function readPhoto(path: string, scale: number): Promise<PixelImage> {
  const { width, height } = await sharp(path).metadata();
  const { data, info } = await sharp(path)
    .resize(Math.round(width * scale), Math.round(height * scale), { kernel: 'lanczos3' })
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: 3, data: new Uint8Array(data) };
}
