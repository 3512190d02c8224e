import { createHash } from 'node:crypto';
import sharp from 'sharp';

export const SIZE = { width: 40, height: 30 } as const;

/** A small picture of its own for each index, encoded as the key's ending says: `.jpg`, `.png`, `.webp`. */
export async function smallPhoto(index: number, key: string, { width, height } = SIZE as Size): Promise<Buffer> {
  const pixels = createHash('shake256', { outputLength: width * height * 3 })
    .update(String(index))
    .digest();
  const image = sharp(pixels, { raw: { width, height, channels: 3 } });
  const ending = key.slice(key.lastIndexOf('.') + 1).toLowerCase();
  return image.toFormat(ending === 'png' || ending === 'webp' ? ending : 'jpeg').toBuffer();
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Throws unless `bytes` are a whole picture of that size in the key's format, other than its source. */
export async function assertRestored(bytes: Buffer, key: string, source: Buffer, size: Size = SIZE): Promise<void> {
  const { data, info } = await sharp(bytes, { failOn: 'error' }).raw().toBuffer({ resolveWithObject: true });
  const { format } = await sharp(bytes).metadata();
  const wanted = (await sharp(source).metadata()).format;
  if (info.width !== size.width || info.height !== size.height || format !== wanted)
    throw new Error(`${key} became ${format} of ${info.width} × ${info.height}, not ${wanted} of its own size.`);
  if (data.equals(await sharp(source).raw().toBuffer())) throw new Error(`${key} was not restored.`);
}
