import { ElfinError } from '../../base/errors.ts';
import { createCanvasCodec } from '../../image/codecs/canvas.ts';
import type { EncodeAsk } from '../messages.ts';

const WRITTEN = ['jpeg', 'png', 'webp'] as const;

/** Pixels as a file, with what is kept of its source's metadata. Errors: those of `Codec.encode`. */
export async function encodeImage({ image, source, metadata, options }: EncodeAsk, signal: AbortSignal): Promise<Blob> {
  const { maxSide, quality, metadata: policy = 'keep' } = options;
  const format = options.format ?? WRITTEN.find((name) => name === source) ?? 'png';
  if (maxSide !== undefined && !(Number.isInteger(maxSide) && maxSide >= 1)) {
    throw new ElfinError('OPTION_INVALID', `maxSide must be a whole number from 1 up, not ${String(maxSide)}.`);
  }
  const codec = createCanvasCodec();
  const scale = Math.min(1, (maxSide ?? Number.POSITIVE_INFINITY) / Math.max(image.width, image.height));
  const [width, height] = [image.width, image.height].map((side) => Math.max(1, Math.round(side * scale)));
  const fitted = scale < 1 ? await codec.resize(image, { width: width!, height: height! }) : image;
  const bytes = await codec.encode(fitted, {
    format,
    metadata,
    policy,
    signal,
    ...(quality !== undefined && { quality }),
  });
  return new Blob([bytes as Uint8Array<ArrayBuffer>], { type: `image/${format}` });
}
