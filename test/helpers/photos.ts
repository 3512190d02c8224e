import { createHash } from 'node:crypto';
import { crc32, deflateSync } from 'node:zlib';
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

/** A whole, valid PNG of one bit a pixel, all black: 100 megapixels are 13 KB. */
export function blackPng(width: number, height: number): Buffer {
  const header = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  const rows = deflateSync(Buffer.alloc((1 + Math.ceil(width / 8)) * height));
  const chunk = (type: string, body: Buffer) => {
    const named = Buffer.concat([Buffer.from(type, 'latin1'), body]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(body.length);
    sum.writeUInt32BE(crc32(named));
    return Buffer.concat([length, named, sum]);
  };
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', rows), chunk('IEND', Buffer.alloc(0))]);
}
