import type { PixelImage } from '@elfin/core';
import sharp from 'sharp';

/** A photo's pixels, enlarged or shrunk by `scale`. */
export async function readPhoto(path: string, scale = 1): Promise<PixelImage> {
  const { width, height } = await sharp(path).metadata();
  const { data, info } = await sharp(path)
    .resize(Math.round(width * scale), Math.round(height * scale), { kernel: 'lanczos3' })
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: 3, data: new Uint8Array(data) };
}

export async function savePhoto({ width, height, data }: PixelImage, path: string): Promise<void> {
  await sharp(data as Uint8Array, { raw: { width, height, channels: 3 } })
    .png()
    .toFile(path);
}

/** A JPEG of `pixels` pixels: the photo in rows and columns of itself, so that it is sharp and as large as wanted. */
export async function enlargedJpeg(path: string, pixels: number): Promise<Uint8Array> {
  const { width, height } = await sharp(path).metadata();
  const times = Math.sqrt(pixels / width / height);
  const repeat = Math.ceil(times);
  const sheet = sharp({ create: { width: width * repeat, height: height * repeat, channels: 3, background: '#000' } })
    .composite([{ input: path, tile: true, gravity: 'northwest' }])
    .raw();
  const { data, info } = await sheet.toBuffer({ resolveWithObject: true });
  const raw = { width: info.width, height: info.height, channels: 3 as const };
  const whole = { left: 0, top: 0, width: Math.floor(width * times), height: Math.floor(height * times) };
  const jpeg = sharp(data, { raw, limitInputPixels: false }).extract(whole);
  return new Uint8Array(await jpeg.jpeg({ quality: 92 }).toBuffer());
}
