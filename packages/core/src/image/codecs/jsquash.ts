import { ElfinError, isElfinError, throwIfAborted } from '../../base/errors.ts';
import { admitImage } from '../admit.ts';
import type { Codec, Header } from '../codec.ts';
import { checkEncode, fitToFormat, withMetadata } from '../encoding.ts';
import { corrupt, truncated, unsupported } from '../formats/bytes.ts';
import { metadataBy } from '../formats/format.ts';
import { jpegComponents } from '../formats/jpeg.ts';
import { stillPng } from '../formats/png.ts';
import { writePng } from '../formats/png-write.ts';
import { FORMAT_NAMES } from '../formats/sniff.ts';
import { stillWebp } from '../formats/webp.ts';
import { inSpace, notUnderstood, spaceOf } from '../picture.ts';
import { asGrey, asRgb, checkPixels, joinAlpha, type PixelImage, splitAlpha } from '../pixels.ts';
import { formatOf, probeImage } from '../probe.ts';
import { resample } from '../resample.ts';
import { orient } from '../transform.ts';
import { type JsquashModules, loadDecoders, loadEncoders, type Rgba } from './jsquash-modules.ts';

export type { JsquashModules } from './jsquash-modules.ts';

export interface JsquashOptions {
  readonly modules?: JsquashModules;
}

/** The decoders make an `ImageData`, which workerd and Node do not have. */
function provideImageData(): void {
  const scope = globalThis as { ImageData?: unknown };
  scope.ImageData ??= class {
    readonly data: Uint8ClampedArray;
    readonly width: number;
    readonly height: number;
    constructor(data: Uint8ClampedArray, width: number, height: number) {
      this.data = data;
      this.width = width;
      this.height = height;
    }
  };
}

/** The bytes as these decoders can take them: stills, without the parts that cost memory and decide no pixel. */
function prepare(bytes: Uint8Array, { format }: Header): Uint8Array {
  if (format === 'png') return stillPng(bytes);
  if (format === 'webp') return stillWebp(bytes);
  if (format === 'jpeg' && jpegComponents(bytes) === 4) {
    throw unsupported('This JPEG is in CMYK, which is not decoded here; save it as RGB first.');
  }
  return bytes;
}

/** mozjpeg fills in what damaged data lack and only prints a line about it; what is forgiven was mended before. */
function checkComplaints(lines: readonly string[], name: string, length: number): void {
  const line = lines.find((text) => /corrupt|premature/i.test(text) && !/extraneous bytes/i.test(text));
  if (line === undefined) return;
  throw /premature/i.test(line) ? truncated(name, length) : corrupt(name, 'its pixels cannot be decoded');
}

/** RGBA in a buffer of its own. */
function toRgba(image: PixelImage): Rgba {
  const { colour, alpha } = splitAlpha(asRgb(image));
  const { width, height } = image;
  const opaque = () => {
    const deep = image.data instanceof Uint16Array;
    return deep ? new Uint16Array(width * height).fill(65535) : new Uint8Array(width * height).fill(255);
  };
  return { width, height, data: joinAlpha(colour, alpha ?? opaque()).data };
}

/** The channels that the header says: the decoders always give four. */
function fromRgba({ width, height, data }: Rgba, header: Header): PixelImage {
  const spread = checkPixels({ width, height, channels: 4, data });
  const image = header.hasAlpha ? spread : splitAlpha(spread).colour;
  return header.grey ? asGrey(image) : image;
}

/**
 * The codec over jSquash's WebAssembly builds (mozjpeg, the `png` crate, libwebp, libavif), for workerd, browsers and
 * Node: JPEG, PNG, WebP and AVIF both ways, 16 bits from PNG and deep AVIF and into PNG, ten into AVIF. Numbers are left in the
 * source's own encoding, as by every codec here. CMYK JPEG is refused. Errors beside those of {@link Codec}:
 * RUNTIME_UNAVAILABLE when a build cannot be loaded; the next call tries again.
 */
export function createJsquashCodec(options: JsquashOptions = {}): Codec {
  const reads = loadDecoders(options.modules);
  const writes = loadEncoders(options.modules);
  provideImageData();

  const codec: Codec = {
    name: 'jsquash',
    version: '3',
    formats: (['jpeg', 'png', 'webp', 'avif'] as const).filter((format) => format === 'png' || writes[format]),

    async probe(bytes) {
      return probeImage(bytes);
    },

    async decode(file, given = {}) {
      throwIfAborted(given.signal);
      const { header, format, bytes, warnings } = await admitImage(file, formatOf, given);
      const name = FORMAT_NAMES[header.format];
      const decoder = reads[header.format];
      if (!decoder) throw unsupported(`${name} is not decoded here; convert it to JPEG, PNG or WebP first.`);
      const prepared = prepare(bytes, header);
      const decode = await decoder.get();
      throwIfAborted(given.signal);
      let raw: Rgba;
      try {
        const found = decode(prepared, header.bitDepth);
        if (!found) throw corrupt(name, 'its pixels cannot be decoded');
        checkComplaints(decoder.complaints(), name, file.length);
        raw = found;
      } catch (cause) {
        decoder.reset();
        if (isElfinError(cause)) throw cause;
        const { code, message, data } = corrupt(name, 'its pixels cannot be decoded');
        throw new ElfinError(code, message, { cause, data });
      }
      const image = orient(fromRgba(raw, header), header.orientation);
      if (image.width !== header.width || image.height !== header.height) {
        throw corrupt(name, `its header says ${header.width} × ${header.height}, its content something else`);
      }
      const metadata = metadataBy(format, bytes);
      const odd = spaceOf(metadata, header.grey) ? [] : [notUnderstood(name)];
      return inSpace({ ...image, header, metadata, warnings: [...warnings, ...odd] }, given.icc);
    },

    async encode(image, given) {
      throwIfAborted(given.signal);
      const { quality } = checkEncode(codec, image, given);
      const fitted = fitToFormat(image, given.format);
      const grey = fitted.channels < 3;
      if (given.format === 'png') return withMetadata(writePng(fitted), given, grey);
      const encoder = writes[given.format]!;
      const encode = await encoder.get();
      throwIfAborted(given.signal);
      try {
        const encoded = encode(toRgba(fitted), { quality, grey, lossless: given.lossless ?? false });
        if (!encoded) throw new Error('the encoder gave nothing');
        return withMetadata(encoded.slice(), given, grey);
      } catch (cause) {
        encoder.reset();
        if (isElfinError(cause)) throw cause;
        const message = `The ${FORMAT_NAMES[given.format]} encoder failed, most likely for want of memory.`;
        throw new ElfinError('OUT_OF_MEMORY', message, { cause });
      }
    },

    async resize(image, { width, height }) {
      return resample(checkPixels(image), width, height);
    },
  };
  return codec;
}
