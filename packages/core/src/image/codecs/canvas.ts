import { ElfinError, throwIfAborted } from '../../base/errors.ts';
import type { Codec } from '../codec.ts';
import { checkEncode, fitToFormat, withMetadata } from '../encoding.ts';
import { writePng } from '../formats/png-write.ts';
import { FORMAT_NAMES } from '../formats/sniff.ts';
import { asRgb, checkPixels, joinAlpha, type PixelImage, splitAlpha } from '../pixels.ts';
import { probeImage } from '../probe.ts';
import { resample } from '../resample.ts';
import { decodeByCanvas, openCanvas } from './canvas-decode.ts';

/**
 * The codec of the browser itself, for pages and workers, without any download: JPEG, PNG, WebP, AVIF and GIF in; JPEG,
 * PNG and, where the browser can, WebP out. Limits: 8 bits a sample; colours are converted to sRGB by the browser
 * (`icc: 'keep'` has to be asked for, and leaves the numbers alone where it honours `colorSpaceConversion`); a canvas multiplies colours by alpha,
 * so that colours lose precision where alpha is low; browsers that resist fingerprinting add noise to what is read, and
 * @jsquash is the choice there. Errors beside those of {@link Codec}: RUNTIME_UNAVAILABLE where there is no canvas.
 */
export function createCanvasCodec(): Codec {
  const codec: Codec = {
    name: 'canvas',
    version: '1',
    formats: ['jpeg', 'png', 'webp'],

    async probe(bytes) {
      return probeImage(bytes);
    },

    decode: decodeByCanvas,

    async encode(image, options) {
      throwIfAborted(options.signal);
      const { quality } = checkEncode(codec, image, options);
      const fitted = fitToFormat(image, options.format);
      if (options.format === 'png') return withMetadata(writePng(fitted), options, fitted.channels < 3);
      const { canvas, context } = openCanvas(fitted.width, fitted.height);
      context.putImageData(toImageData(fitted), 0, 0);
      const type = `image/${options.format}`;
      const blob = await canvas.convertToBlob({ type, quality: quality / 100 });
      throwIfAborted(options.signal);
      // A browser that lacks an encoder writes PNG without a word.
      if (blob.type !== type) {
        throw new ElfinError(
          'OPTION_INVALID',
          `This browser does not write ${FORMAT_NAMES[options.format]}; choose JPEG or PNG.`,
        );
      }
      return withMetadata(new Uint8Array(await blob.arrayBuffer()), options, false);
    },

    async resize(image, { width, height }) {
      return resample(checkPixels(image), width, height);
    },
  };
  return codec;
}

function toImageData(image: PixelImage): ImageData {
  const { width, height } = image;
  const { colour, alpha } = splitAlpha(asRgb(image));
  const opaque = () => new Uint8Array(width * height).fill(255);
  const { data } = joinAlpha(colour, alpha ?? opaque());
  const out = new ImageData(width, height);
  out.data.set(data);
  return out;
}
