import { ElfinError, isElfinError, throwIfAborted } from '../../errors.ts';
import { admitImage } from '../admit.ts';
import { type Codec, DEFAULT_QUALITY, type Header, type ImageFormat, type OutputFormat } from '../codec.ts';
import { checkEncode, fitToFormat, withMetadata } from '../encoding.ts';
import { unsupported } from '../formats/bytes.ts';
import { checkPixels, type PixelImage } from '../pixels.ts';
import { probeImage, readMetadata } from '../probe.ts';
import { resample } from '../resample.ts';
import { orient } from '../transform.ts';

/**
 * Compiled codecs, for runtimes that cannot fetch and compile wasm themselves: in workerd each is an imported module.
 * A browser leaves them out; the packages then load their own files. What a given object lacks is not offered.
 */
export interface JsquashModules {
  readonly jpegDecode?: WebAssembly.Module;
  readonly jpegEncode?: WebAssembly.Module;
  readonly png?: WebAssembly.Module;
  readonly webpDecode?: WebAssembly.Module;
  /** The SIMD build, `webp_enc_simd.wasm`. */
  readonly webpEncode?: WebAssembly.Module;
}

export interface JsquashOptions {
  readonly modules?: JsquashModules;
}

type Raw = {
  readonly data: Uint8Array | Uint8ClampedArray | Uint16Array;
  readonly width: number;
  readonly height: number;
};
type Decoder = (bytes: ArrayBuffer, depth: 8 | 16) => Promise<Raw>;
type Encoder = (image: Raw, quality: number) => Promise<ArrayBuffer>;

/** Loads once; a failure is forgotten, so that the next call may succeed. */
function once<T>(load: () => Promise<T>): () => Promise<T> {
  let loaded: Promise<T> | undefined;
  return () => {
    loaded ??= load().catch((error) => {
      loaded = undefined;
      throw error;
    });
    return loaded;
  };
}

/** The decoders make an `ImageData`, which workerd does not have. */
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

function decoders(modules: JsquashModules | undefined): Partial<Record<ImageFormat, () => Promise<Decoder>>> {
  const offered = (module: WebAssembly.Module | undefined) => modules === undefined || module !== undefined;
  return {
    ...(offered(modules?.jpegDecode) && {
      jpeg: once(async () => {
        const { default: decode, init } = await import('@jsquash/jpeg/decode.js');
        if (modules?.jpegDecode) await init(modules.jpegDecode);
        return (bytes) => decode(bytes, { preserveOrientation: false });
      }),
    }),
    ...(offered(modules?.png) && {
      png: once(async () => {
        const { default: decode, init } = await import('@jsquash/png/decode.js');
        await init(modules?.png);
        return (bytes, depth) => (depth === 16 ? decode(bytes, { bitDepth: 16 }) : decode(bytes));
      }),
    }),
    ...(offered(modules?.webpDecode) && {
      webp: once(async () => {
        const { default: decode, init } = await import('@jsquash/webp/decode.js');
        if (modules?.webpDecode) await init(modules.webpDecode);
        return (bytes) => decode(bytes);
      }),
    }),
  };
}

function encoders(modules: JsquashModules | undefined): Partial<Record<OutputFormat, () => Promise<Encoder>>> {
  const offered = (module: WebAssembly.Module | undefined) => modules === undefined || module !== undefined;
  return {
    ...(offered(modules?.jpegEncode) && {
      jpeg: once(async () => {
        const { default: encode, init } = await import('@jsquash/jpeg/encode.js');
        if (modules?.jpegEncode) await init(modules.jpegEncode);
        return (image, quality) => encode(image as ImageData, { quality });
      }),
    }),
    ...(offered(modules?.png) && {
      png: once(async () => {
        const { default: encode, init } = await import('@jsquash/png/encode.js');
        await init(modules?.png);
        return (image) =>
          image.data instanceof Uint16Array ? encode(image as never, { bitDepth: 16 }) : encode(image as ImageData);
      }),
    }),
    ...(offered(modules?.webpEncode) && {
      webp: once(async () => {
        const { default: encode, init } = await import('@jsquash/webp/encode.js');
        if (modules?.webpEncode) await init(modules.webpEncode);
        return (image, quality) => encode(image as ImageData, { quality });
      }),
    }),
  };
}

/** RGBA as the codecs want it, in a buffer of its own: they read the whole buffer, whatever view they are given. */
function toRgba({ width, height, channels, data }: PixelImage): Raw {
  const deep = data instanceof Uint16Array;
  const size = width * height * 4;
  const out = deep ? new Uint16Array(size) : new Uint8ClampedArray(size);
  if (channels === 4) out.set(data);
  else {
    out.fill(deep ? 65535 : 255);
    for (let from = 0, to = 0; to < size; from += 3, to += 4) {
      out[to] = data[from]!;
      out[to + 1] = data[from + 1]!;
      out[to + 2] = data[from + 2]!;
    }
  }
  return { width, height, data: out };
}

/** RGB, or RGBA where the header says that there is alpha: the decoders always give four channels. */
function fromRgba({ width, height, data }: Raw, { hasAlpha }: Header): PixelImage {
  if (hasAlpha) return checkPixels({ width, height, channels: 4, data });
  const out = data instanceof Uint16Array ? new Uint16Array(width * height * 3) : new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < out.length; from += 4, to += 3) {
    out[to] = data[from]!;
    out[to + 1] = data[from + 1]!;
    out[to + 2] = data[from + 2]!;
  }
  return { width, height, channels: 3, data: out };
}

/**
 * The codec over jSquash's WebAssembly builds (mozjpeg, the `png` crate, libwebp), for workerd and browsers: JPEG, PNG and
 * WebP both ways, 16 bits in PNG. Embedded colour profiles are not converted: numbers are taken as sRGB.
 */
export function createJsquashCodec(options: JsquashOptions = {}): Codec {
  const { modules } = options;
  const reads = decoders(modules);
  const writes = encoders(modules);
  provideImageData();

  const codec: Codec = {
    name: 'jsquash',
    version: '1',
    formats: (['jpeg', 'png', 'webp'] as const).filter((format) => writes[format]),

    async probe(bytes) {
      return probeImage(bytes);
    },

    async decode(bytes, given = {}) {
      throwIfAborted(given.signal);
      const header = admitImage(bytes, given);
      const load = reads[header.format];
      if (!load)
        throw unsupported(`This runtime does not read ${header.format}; convert it to JPEG, PNG or WebP first.`);
      const decode = await load();
      let raw: Raw;
      try {
        raw = await decode(bytes.slice().buffer, header.bitDepth);
      } catch (cause) {
        if (isElfinError(cause)) throw cause;
        // Emscripten and Rust both report damage and want of memory alike, and the header was sound.
        throw new ElfinError('IMAGE_CORRUPT', `The ${header.format} decoder gave the image up; it is damaged.`, {
          cause,
        });
      }
      throwIfAborted(given.signal);
      const image = orient(fromRgba(raw, header), header.orientation);
      if (image.width !== header.width || image.height !== header.height) {
        throw new ElfinError('IMAGE_CORRUPT', 'The image decodes to other sides than its header announces.');
      }
      return { ...image, header, metadata: readMetadata(bytes, header.format) };
    },

    async encode(image, given) {
      throwIfAborted(given.signal);
      const { quality = DEFAULT_QUALITY[given.format] } = checkEncode(codec, image, given);
      const fitted = fitToFormat(image, given.format);
      const load = writes[given.format];
      if (!load) throw new ElfinError('OPTION_INVALID', `This runtime does not write ${given.format}.`);
      const encode = await load();
      const encoded = await encode(toRgba(fitted), quality).catch((cause: unknown) => {
        throw new ElfinError('OUT_OF_MEMORY', `The ${given.format} encoder failed, most likely for want of memory.`, {
          cause,
        });
      });
      throwIfAborted(given.signal);
      return withMetadata(new Uint8Array(encoded), given);
    },

    async resize(image, { width, height }) {
      return resample(checkPixels(image), width, height);
    },
  };
  return codec;
}
