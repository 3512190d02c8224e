import { dirname } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { ElfinError, throwIfAborted } from '../base/errors.ts';
import type { PixelSink, PixelSource, Samples } from '../tiling/pixels.ts';
import type { DecodeOptions, EncodeOptions, Header, Metadata } from './codec.ts';
import { decodeStrictly, encodeError, encodeWith, openImage, SHARP } from './codecs/sharp-pipeline.ts';
import { checkEncode, withMetadata } from './encoding.ts';
import { corrupt } from './formats/bytes.ts';
import { checkRect, type Rect, splitAlpha } from './pixels.ts';
import { createTempFile, diskError, type TempFile } from './temp-file.ts';
import { orient, orientedSize, storedRect } from './transform.ts';
import { readVipsHeader, VIPS_HEADER, type VipsShape, writeVipsHeader } from './vips-file.ts';

/** A decoded image on disk: upright RGB by rectangle, alpha beside it. Hold it no longer than needed. */
export interface FileSource extends PixelSource, AsyncDisposable {
  readonly header: Header;
  readonly metadata: Metadata;
  /** `width · height` alpha samples of a rectangle; `undefined` for opaque images. */
  readAlpha(x: number, y: number, width: number, height: number, signal?: AbortSignal): Promise<Samples | undefined>;
  dispose(): Promise<void>;
}

/** Pixels on disk that become an encoded image. */
export interface FileSink extends PixelSink, AsyncDisposable {
  /** Encodes what was written. Errors: OPTION_INVALID (also before every pixel is there), DISPOSED, OUT_OF_MEMORY, ABORTED. */
  encode(options: EncodeOptions): Promise<Uint8Array>;
  dispose(): Promise<void>;
}

/** Where pixels on disk go. */
export interface FileOptions {
  /** Where temporary files go; the system's folder (TMPDIR) by default. */
  readonly directory?: string;
}

/**
 * Decodes once, row by row, into a temporary file that is then read by position: for images too large to hold. Memory
 * stays that of a few rows (interlaced PNG, WebP and AVIF decode whole before); disk takes width · height · channels ·
 * bytes a sample. Errors: those of `Codec.decode`, OUTPUT_UNWRITABLE when the disk is full.
 */
export async function decodeToFile(bytes: Uint8Array, options: DecodeOptions & FileOptions = {}): Promise<FileSource> {
  throwIfAborted(options.signal);
  const opened = await openImage(bytes, options);
  const { header, metadata, stored } = opened;
  const shape: VipsShape = {
    width: stored.width,
    height: stored.height,
    channels: header.hasAlpha ? 4 : 3,
    bitDepth: header.bitDepth,
  };
  const file = await createTempFile('pixels.v', rowBytes(shape) * shape.height, options.directory);
  try {
    await decodeStrictly(opened, bytes.length, (pipeline) => toFile(pipeline, file, rowBytes(shape) * shape.height));
    throwIfAborted(options.signal);
    const head = new Uint8Array(VIPS_HEADER);
    await file.handle.read(head, 0, VIPS_HEADER, 0);
    const found = readVipsHeader(head);
    if (JSON.stringify(found) !== JSON.stringify(shape)) {
      throw corrupt(
        'image',
        `it decodes to ${found.width} × ${found.height} × ${found.channels}, not what its header says`,
      );
    }
  } catch (error) {
    await file.dispose();
    throw error;
  }
  return openSource(file, shape, stored.turned ? 1 : header.orientation, header, metadata);
}

async function toFile(pipeline: Sharp, file: TempFile, size: number): Promise<void> {
  try {
    await pipeline.toFile(file.path);
  } catch (error) {
    if (error instanceof Error && /no space|write (error|failed)|file too large|unable to write/i.test(error.message)) {
      throw diskError(error, dirname(dirname(file.path)), size);
    }
    throw error;
  }
}

function openSource(
  file: TempFile,
  shape: VipsShape,
  orientation: number,
  header: Header,
  metadata: Metadata,
): FileSource {
  const { bitDepth } = shape;
  const channels = shape.channels as 3 | 4;
  const size = orientedSize(shape.width, shape.height, orientation);
  const holder = hold(file);

  const read = async (x: number, y: number, width: number, height: number, signal?: AbortSignal) => {
    throwIfAborted(signal);
    checkRect(size, { x, y, width, height });
    const rect = storedRect({ x, y, width, height }, shape.width, shape.height, orientation);
    const data = await holder.use((held) => readRows(held, shape, rect));
    throwIfAborted(signal);
    return splitAlpha(orient({ width: rect.width, height: rect.height, channels, data }, orientation));
  };

  return {
    ...size,
    bitDepth,
    header,
    metadata,
    read: async (...rect) => (await read(...rect)).colour.data as Samples,
    readAlpha: async (...rect) => (channels === 4 ? ((await read(...rect)).alpha as Samples) : undefined),
    dispose: holder.dispose,
    [Symbol.asyncDispose]: holder.dispose,
  };
}

/**
 * A temporary file that takes pixels by rectangle and is then encoded row by row. `alpha`, the source that the pixels
 * came from, puts its alpha back. Errors of `write`: OPTION_INVALID, DISPOSED, OUTPUT_UNWRITABLE.
 */
export async function createFileSink(
  shape: { readonly width: number; readonly height: number; readonly bitDepth: 8 | 16 },
  options: FileOptions & { readonly alpha?: FileSource } = {},
): Promise<FileSink> {
  const alpha = options.alpha?.header.hasAlpha ? options.alpha : undefined;
  const { width, height, bitDepth } = shape;
  const full: VipsShape = { width, height, bitDepth, channels: alpha ? 4 : 3 };
  const size = rowBytes(full) * height;
  const file = await createTempFile('result.v', size, options.directory);
  const holder = hold(file);
  const wrap = (cause: unknown) => diskError(cause, dirname(dirname(file.path)), size);
  await file.handle.write(writeVipsHeader(full), 0, VIPS_HEADER, 0).catch(async (cause: unknown) => {
    await holder.dispose();
    throw wrap(cause);
  });
  let written = 0;

  return {
    async write(x, y, w, h, data) {
      checkRect(shape, { x, y, width: w, height: h });
      if (data.length !== w * h * 3 || data instanceof Uint16Array !== (bitDepth === 16)) {
        throw new ElfinError('OPTION_INVALID', `${w} × ${h} pixels need ${w * h * 3} samples of ${bitDepth} bits.`);
      }
      const plane = await alpha?.readAlpha(x, y, w, h);
      const samples = plane ? interleave(data, plane) : data;
      await holder
        .use((held) => writeRows(held, full, { x, y, width: w, height: h }, samples))
        .catch((error: unknown) => {
          throw wrap(error);
        });
      written += w * h;
    },
    async encode(encoding) {
      throwIfAborted(encoding.signal);
      const { quality } = checkEncode(SHARP, shape, encoding);
      if (written < width * height) {
        throw new ElfinError(
          'OPTION_INVALID',
          `Only ${written} of ${width * height} pixels were written; write all, then encode.`,
        );
      }
      const { format } = encoding;
      const depth = format === 'png' || format === 'tiff' ? bitDepth : 8;
      const encoded = await holder.use(async (held) => {
        const pipeline = sharp(held.path, { limitInputPixels: false });
        if (format === 'jpeg' && alpha) pipeline.flatten({ background: '#fff' });
        return encodeWith(pipeline, { format, quality, depth, pixels: width * height })
          .toBuffer()
          .catch((cause: unknown) => {
            throw encodeError(cause, format);
          });
      });
      throwIfAborted(encoding.signal);
      return withMetadata(new Uint8Array(encoded.buffer, encoded.byteOffset, encoded.length), encoding);
    },
    dispose: holder.dispose,
    [Symbol.asyncDispose]: holder.dispose,
  };
}

/** Uses of a file, none of them after its disposal; disposal waits for those under way. */
function hold(file: TempFile): { use<T>(work: (file: TempFile) => Promise<T>): Promise<T>; dispose(): Promise<void> } {
  const running = new Set<Promise<unknown>>();
  let disposed: Promise<void> | undefined;
  return {
    use(work) {
      if (disposed) {
        return Promise.reject(new ElfinError('DISPOSED', 'The temporary image was disposed of; open the image again.'));
      }
      const use = work(file).finally(() => running.delete(use));
      running.add(use);
      return use;
    },
    dispose() {
      disposed ??= Promise.allSettled(running).then(() => file.dispose());
      return disposed;
    },
  };
}

function rowBytes({ width, channels, bitDepth }: VipsShape): number {
  return width * channels * (bitDepth / 8);
}

/** File bytes read at once: whole rows, of which a rectangle may want a part. One call beats hundreds of small ones. */
const MOST_AT_ONCE = 4 * 1024 * 1024;

async function readRows(file: TempFile, shape: VipsShape, area: Rect): Promise<Samples> {
  const pixel = shape.channels * (shape.bitDepth / 8);
  const stride = rowBytes(shape);
  const length = area.width * pixel;
  const bytes = new Uint8Array(length * area.height);
  const start = VIPS_HEADER + area.y * stride + area.x * pixel;
  const most = Math.max(1, Math.floor(MOST_AT_ONCE / stride));
  for (let y = 0; y < area.height; y += most) {
    const rows = Math.min(most, area.height - y);
    if (length === stride) {
      await readFully(file, bytes.subarray(y * stride, (y + rows) * stride), start + y * stride);
      continue;
    }
    const span = new Uint8Array((rows - 1) * stride + length);
    await readFully(file, span, start + y * stride);
    for (let row = 0; row < rows; row++) {
      bytes.set(span.subarray(row * stride, row * stride + length), (y + row) * length);
    }
  }
  return shape.bitDepth === 16 ? new Uint16Array(bytes.buffer) : bytes;
}

async function readFully({ handle }: TempFile, into: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await handle.read(into, done, into.length - done, at + done);
    if (bytesRead === 0) throw corrupt('temporary image', 'it ends early');
    done += bytesRead;
  }
}

async function writeRows({ handle }: TempFile, shape: VipsShape, area: Rect, samples: Samples): Promise<void> {
  const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  const pixel = shape.channels * (shape.bitDepth / 8);
  const start = VIPS_HEADER + area.y * rowBytes(shape) + area.x * pixel;
  // Whole rows lie in one piece.
  const whole = area.width === shape.width;
  const length = whole ? bytes.length : area.width * pixel;
  for (let from = 0, at = start; from < bytes.length; from += length, at += rowBytes(shape)) {
    for (let done = 0; done < length; ) {
      done += (await handle.write(bytes, from + done, length - done, at + done)).bytesWritten;
    }
  }
}

function interleave(colour: Samples, alpha: Samples): Samples {
  const out = colour instanceof Uint16Array ? new Uint16Array(alpha.length * 4) : new Uint8Array(alpha.length * 4);
  for (let i = 0, from = 0, to = 0; i < alpha.length; i++, from += 3, to += 4) {
    out[to] = colour[from]!;
    out[to + 1] = colour[from + 1]!;
    out[to + 2] = colour[from + 2]!;
    out[to + 3] = alpha[i]!;
  }
  return out;
}
