import sharp from 'sharp';
import { throwIfAborted } from '../../base/errors.ts';
import type { Codec } from '../codec.ts';
import { checkEncode, fitToFormat, withMetadata } from '../encoding.ts';
import { inSpace } from '../picture.ts';
import { asGrey, asRgb, bitDepth, checkPixels, type PixelImage } from '../pixels.ts';
import { probeImage } from '../probe.ts';
import { orient } from '../transform.ts';
import { decodeStrictly, encodeError, encodeWith, openImage, SHARP } from './sharp-pipeline.ts';

/**
 * The codec for Node, over sharp: JPEG, PNG, WebP, AVIF and TIFF both ways, GIF in, HEIC and BMP by optional peers (libheif-js, bmp-ts).
 * PNG and TIFF keep 16 bits, both ways, AVIF ten. Numbers are left in the source's own encoding; CMYK and its like are converted
 * to sRGB. sharp's work cannot be stopped: an abort takes effect behind it.
 */
export function createSharpCodec(): Codec {
  const codec: Codec = {
    ...SHARP,

    async probe(bytes) {
      return probeImage(bytes);
    },

    async decode(bytes, options = {}) {
      throwIfAborted(options.signal);
      const opened = await openImage(bytes, options);
      const { header, metadata, stored, warnings } = opened;
      const { data } = await decodeStrictly(opened, bytes.length, (pipeline) =>
        pipeline.raw({ depth: header.bitDepth === 16 ? 'ushort' : 'uchar' }).toBuffer({ resolveWithObject: true }),
      );
      throwIfAborted(options.signal);
      const channels = header.hasAlpha ? 4 : 3;
      const spread = checkPixels({
        width: stored.width,
        height: stored.height,
        channels,
        data: samples(data, header.bitDepth),
      });
      const image = header.grey ? asGrey(spread) : spread;
      const upright = stored.turned ? image : orient(image, header.orientation);
      return inSpace({ ...upright, header, metadata, warnings }, options.icc);
    },

    async encode(image, options) {
      throwIfAborted(options.signal);
      const { quality } = checkEncode(codec, image, options);
      const fitted = fitToFormat(image, options.format);
      const { format, lossless } = options;
      const shape = { ...fitted, bitDepth: bitDepth(fitted) };
      const encoded = await encodeWith(openRaw(fitted), shape, { format, quality, lossless })
        .toBuffer()
        .catch((cause: unknown) => {
          throw encodeError(cause, options.format);
        });
      throwIfAborted(options.signal);
      return withMetadata(bytesOf(encoded), options, fitted.channels < 3);
    },

    async resize(image, { width, height }) {
      const checked = checkPixels(image);
      const depth = bitDepth(checked);
      const rgb = asRgb(checked);
      const { data } = await openRaw(rgb)
        .resize(width, height, { fit: 'fill', kernel: 'lanczos3' })
        .toColourspace(depth === 16 ? 'rgb16' : 'srgb')
        .raw({ depth: depth === 16 ? 'ushort' : 'uchar' })
        .toBuffer({ resolveWithObject: true });
      const resized = checkPixels({ width, height, channels: rgb.channels, data: samples(data, depth) });
      return checked.channels < 3 ? asGrey(resized) : resized;
    },
  };
  return codec;
}

function openRaw({ data, width, height, channels }: PixelImage) {
  return sharp(data, { raw: { width, height, channels }, limitInputPixels: false });
}

function bytesOf(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}

function samples(buffer: Buffer, depth: 8 | 16): Uint8Array | Uint16Array {
  if (depth === 8) return bytesOf(buffer);
  if (buffer.byteOffset % 2 === 0) return new Uint16Array(buffer.buffer, buffer.byteOffset, buffer.length / 2);
  return new Uint16Array(bytesOf(buffer).slice().buffer);
}
