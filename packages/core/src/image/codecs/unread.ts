import { ElfinError } from '../../base/errors.ts';
import type { Header, ImageFormat } from '../codec.ts';
import { corrupt } from '../formats/bytes.ts';
import { FORMAT_NAMES } from '../formats/sniff.ts';

/** RGBA of 8 bits, upright. */
export interface PlainPixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Formats that sharp's prebuilt libvips leaves out, and what decodes them: optional peers, loaded when such a file comes. */
const DECODERS: {
  readonly [F in ImageFormat]?: { readonly peer: string; decode(bytes: Uint8Array): Promise<PlainPixels> };
} = {
  heif: {
    peer: 'libheif-js',
    decode: decodeHeif,
  },
  bmp: {
    peer: 'bmp-ts',
    async decode(bytes) {
      const { decode } = await import('bmp-ts');
      const { width, height, data } = decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), {
        toRGBA: true,
      });
      return { width, height, data };
    },
  },
};

/** What is used of libheif-js, which has no types of its own. */
interface Libheif {
  readonly ready: Promise<unknown>;
  readonly HeifDecoder: new () => { readonly decoder: { delete(): void }; decode(bytes: Uint8Array): HeifImage[] };
}

interface HeifImage {
  get_width(): number;
  get_height(): number;
  display(into: { data: Uint8ClampedArray; width: number; height: number }, done: (shown: object | null) => void): void;
  free(): void;
}

async function decodeHeif(bytes: Uint8Array): Promise<PlainPixels> {
  // @ts-expect-error: no types come with it
  const { default: libheif } = (await import('libheif-js/wasm-bundle.js')) as { default: Libheif };
  await libheif.ready;
  const decoder = new libheif.HeifDecoder();
  const images = quietly(() => decoder.decode(bytes));
  try {
    // The primary image comes first.
    const [image] = images;
    if (!image) throw new Error('no image was found');
    const [width, height] = [image.get_width(), image.get_height()];
    const data = new Uint8ClampedArray(width * height * 4);
    const shown = await new Promise((resolve) => image.display({ data, width, height }, resolve));
    if (!shown) throw new Error('the image could not be decoded');
    return { width, height, data: new Uint8Array(data.buffer) };
  } finally {
    for (const image of images) image.free();
    decoder.decoder.delete();
  }
}

/** libheif tells of damage by `console.log`, which on a command line is where the picture may be going; it does so at once. */
function quietly<T>(work: () => T): T {
  const { log } = console;
  console.log = () => {};
  try {
    return work();
  } finally {
    console.log = log;
  }
}

/**
 * Decodes what sharp does not. The whole picture is in memory then. Errors: RUNTIME_UNAVAILABLE where the peer is not installed,
 * IMAGE_CORRUPT.
 */
export async function decodeUnread(bytes: Uint8Array, { format, width, height }: Header): Promise<PlainPixels> {
  const { peer, decode } = DECODERS[format]!;
  const name = FORMAT_NAMES[format];
  const pixels = await decode(bytes).catch((cause: unknown) => {
    if ((cause as { code?: string }).code === 'ERR_MODULE_NOT_FOUND') {
      throw new ElfinError('RUNTIME_UNAVAILABLE', `${name} is decoded by ${peer}; run: npm install ${peer}`, { cause });
    }
    const { code, message, data } = corrupt(name, 'its pixels cannot be decoded');
    throw new ElfinError(code, message, { cause, data });
  });
  if (pixels.width !== width || pixels.height !== height) {
    throw corrupt(name, `its header says ${width} × ${height}, its content something else`);
  }
  return pixels;
}
