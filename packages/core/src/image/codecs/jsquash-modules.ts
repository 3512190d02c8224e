import { ElfinError } from '../../base/errors.ts';
import type { ImageFormat, OutputFormat } from '../codec.ts';

/**
 * Compiled codecs, for runtimes that cannot fetch and compile wasm themselves: in workerd each is an imported module.
 * A browser leaves them out; the packages then load their own files. What a given object lacks is not offered.
 */
export interface JsquashModules {
  readonly jpegDecode?: WebAssembly.Module;
  readonly jpegEncode?: WebAssembly.Module;
  /** Decodes only; PNG is written without wasm. */
  readonly png?: WebAssembly.Module;
  readonly webpDecode?: WebAssembly.Module;
  /** The SIMD build, `webp_enc_simd.wasm`. */
  readonly webpEncode?: WebAssembly.Module;
  readonly avifDecode?: WebAssembly.Module;
  /** The build without threads, `avif_enc.wasm`: 3.4 MB. */
  readonly avifEncode?: WebAssembly.Module;
}

/** RGBA; the encoders read the whole buffer, whatever view they are given. */
export interface Rgba {
  readonly data: Uint8Array | Uint8ClampedArray | Uint16Array;
  readonly width: number;
  readonly height: number;
}

export type Decoder = (bytes: Uint8Array, depth: 8 | 16) => Rgba | null;
/** How the encoders are set. */
export interface Settings {
  readonly quality: number;
  /** The channels are alike; JPEG is then written with one. */
  readonly grey: boolean;
  readonly lossless: boolean;
}

export type Encoder = (image: Rgba, settings: Settings) => Uint8Array | null;

/** A codec that is loaded when first wanted. */
export interface Loaded<T> {
  get(): Promise<T>;
  /** Forgets the instance: one that trapped or exited is not to be trusted again. */
  reset(): void;
  /** What the build has printed since this was asked last. */
  complaints(): readonly string[];
}

/** Lines of a build's complaints that are kept: the first ones tell what is wrong. */
const MOST_LINES = 20;

/** Loads once; a failure is forgotten, so that the next call may succeed. Throws RUNTIME_UNAVAILABLE. */
function lazily<T>(name: string, load: (print: (line: string) => void) => Promise<T>): Loaded<T> {
  let loaded: Promise<T> | undefined;
  let printed: string[] = [];
  const print = (line: string) => {
    if (printed.length < MOST_LINES) printed.push(line);
  };
  return {
    get() {
      loaded ??= load(print).catch((cause: unknown) => {
        loaded = undefined;
        const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
        throw new ElfinError(
          'RUNTIME_UNAVAILABLE',
          `The ${name} codec cannot be loaded; install @jsquash/${name} or hand in its wasm module (${reason}).`,
          { cause },
        );
      });
      return loaded;
    },
    reset() {
      loaded = undefined;
    },
    complaints() {
      const lines = printed;
      printed = [];
      return lines;
    },
  };
}

type Factory<T> = (options: {
  noInitialRun: boolean;
  printErr(text: string): void;
  instantiateWasm?: (
    imports: WebAssembly.Imports,
    done: (instance: WebAssembly.Instance) => void,
  ) => WebAssembly.Exports;
}) => Promise<T>;

/**
 * Instantiates an Emscripten build. The packages' own `init` is passed by: it keeps a rejected promise for ever, and
 * lets a failure to load look like a damaged image.
 */
async function instantiate<T>(
  imported: Promise<{ default: unknown }>,
  module: WebAssembly.Module | undefined,
  print: (line: string) => void = () => {},
): Promise<T> {
  const factory = (await imported).default as Factory<T>;
  // What the builds would print of damaged images is told by our errors, or is no matter.
  const quiet = { noInitialRun: true, printErr: print };
  if (!module) return factory(quiet);
  return factory({
    ...quiet,
    instantiateWasm: (imports, done) => {
      const instance = new WebAssembly.Instance(module, imports);
      done(instance);
      return instance.exports;
    },
  });
}

interface DecoderModule {
  decode(bytes: Uint8Array, option?: boolean | number): Rgba | null;
}

interface EncoderModule {
  encode(data: Rgba['data'], width: number, height: number, options: object): Uint8Array | null;
}

/** Decoders by format, of those that `modules` offers (all when it is left out). */
export function loadDecoders(modules?: JsquashModules): Partial<Record<ImageFormat, Loaded<Decoder>>> {
  const offered = (key: keyof JsquashModules) => modules === undefined || modules[key] !== undefined;
  return {
    ...(offered('jpegDecode') && {
      jpeg: lazily('jpeg', async (print) => {
        const build = import('@jsquash/jpeg/codec/dec/mozjpeg_dec.js');
        const module = await instantiate<DecoderModule>(build, modules?.jpegDecode, print);
        return (bytes) => module.decode(bytes, false);
      }),
    }),
    ...(offered('png') && {
      png: lazily('png', async () => {
        const { default: init, decode, decode_rgba16 } = await import('@jsquash/png/codec/pkg/squoosh_png.js');
        await init(modules?.png);
        return (bytes, depth) => {
          if (depth === 8) return decode(bytes);
          // A view of the build's own memory, which the next picture overwrites or detaches.
          const found = decode_rgba16(bytes);
          const copy = { width: found.width, height: found.height, data: found.data.slice() };
          found.free();
          return copy;
        };
      }),
    }),
    ...(offered('webpDecode') && {
      webp: lazily('webp', async () => {
        const build = import('@jsquash/webp/codec/dec/webp_dec.js');
        const module = await instantiate<DecoderModule>(build, modules?.webpDecode);
        return (bytes) => module.decode(bytes);
      }),
    }),
    ...(offered('avifDecode') && {
      avif: lazily('avif', async () => {
        const build = import('@jsquash/avif/codec/dec/avif_dec.js');
        const module = await instantiate<DecoderModule>(build, modules?.avifDecode);
        return (bytes, depth) => module.decode(bytes, depth);
      }),
    }),
  };
}

/** Encoders by format, of those that `modules` offers (all when it is left out). */
export function loadEncoders(modules?: JsquashModules): Partial<Record<OutputFormat, Loaded<Encoder>>> {
  const offered = (key: keyof JsquashModules) => modules === undefined || modules[key] !== undefined;
  return {
    ...(offered('jpegEncode') && {
      jpeg: lazily('jpeg', async () => {
        const [{ defaultOptions }, module] = await Promise.all([
          import('@jsquash/jpeg/meta.js'),
          instantiate<EncoderModule>(import('@jsquash/jpeg/codec/enc/mozjpeg_enc.js'), modules?.jpegEncode),
        ]);
        // 1 is MozJPEG's GRAYSCALE, 3 its YCbCr.
        return ({ data, width, height }, { quality, grey }) =>
          module.encode(data, width, height, { ...defaultOptions, quality, color_space: grey ? 1 : 3 });
      }),
    }),
    ...(offered('webpEncode') && {
      webp: lazily('webp', async () => {
        const [{ defaultOptions }, module] = await Promise.all([
          import('@jsquash/webp/meta.js'),
          instantiate<EncoderModule>(import('@jsquash/webp/codec/enc/webp_enc_simd.js'), modules?.webpEncode),
        ]);
        const kept = { ...defaultOptions, lossless: 1, exact: 1 };
        return ({ data, width, height }, { quality, lossless }) =>
          module.encode(data, width, height, lossless ? kept : { ...defaultOptions, quality });
      }),
    }),
    ...(offered('avifEncode') && {
      avif: lazily('avif', async () => {
        const [{ defaultOptions }, module] = await Promise.all([
          import('@jsquash/avif/meta.js'),
          instantiate<EncoderModule>(import('@jsquash/avif/codec/enc/avif_enc.js'), modules?.avifEncode),
        ]);
        // Chroma at full resolution, as sharp writes AVIF.
        const options = { ...defaultOptions, subsample: 3 };
        return ({ data, width, height }, { quality, lossless }) => {
          // The encoder takes ten bits in the low end of 16.
          const deep = data instanceof Uint16Array;
          const samples = deep ? data.map((value) => value >> 6) : data;
          const bitDepth = deep ? 10 : 8;
          const chosen = { ...options, quality, lossless, bitDepth };
          return module.encode(new Uint8Array(samples.buffer), width, height, chosen);
        };
      }),
    }),
  };
}
