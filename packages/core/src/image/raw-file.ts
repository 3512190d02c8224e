import { dirname } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { ElfinError, throwIfAborted } from '../base/errors.ts';
import type { Samples } from '../tiling/pixels.ts';
import type { DecodeOptions, EncodeOptions, Header, Metadata } from './codec.ts';
import { decodeStrictly, encodeError, encodeWith, type Opened, openImage, SHARP } from './codecs/sharp-pipeline.ts';
import { checkEncode, withMetadata } from './encoding.ts';
import { corrupt } from './formats/bytes.ts';
import { asGrey, type Channels, checkRect, hasAlpha, type Rect } from './pixels.ts';
import type { RawSink, RawSource } from './raw.ts';
import { createTempFile, diskError, type TempFile } from './temp-file.ts';
import { findPixels, isBig, type PixelShape, pixelBytes, rowBytes, tiffHead } from './temp-tiff.ts';
import { orient, orientedSize, storedRect } from './transform.ts';
import type { Warning } from './warnings.ts';

/** A decoded image on disk, upright, by rectangle. Hold it no longer than needed. */
export interface FileSource extends RawSource, AsyncDisposable {
  readonly header: Header;
  readonly metadata: Metadata;
  readonly warnings: readonly Warning[];
  dispose(): Promise<void>;
}

/** Pixels on disk that become an encoded image. */
export interface FileSink extends RawSink, AsyncDisposable {
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
  const { header, stored } = opened;
  const shape: PixelShape = {
    width: stored.width,
    height: stored.height,
    channels: header.hasAlpha ? 4 : 3,
    bitDepth: header.bitDepth,
  };
  const file = await createTempFile('pixels.tif', pixelBytes(shape), options.directory, pixelBytes(shape));
  try {
    await decodeStrictly(opened, bytes.length, (pipeline) => toFile(pipeline, file, shape));
    throwIfAborted(options.signal);
    const start = await findPixels(file.handle, shape);
    return openSource({ file, start, shape }, opened);
  } catch (error) {
    await file.dispose();
    throw error;
  }
}

async function toFile(pipeline: Sharp, file: TempFile, shape: PixelShape): Promise<void> {
  try {
    await pipeline.tiff({ compression: 'none', predictor: 'none', bigtiff: isBig(shape) }).toFile(file.path);
  } catch (error) {
    // libvips and libtiff have many words for a disk that is full, and the reader's own are others.
    if (error instanceof Error && (await isFull(file, shape, error))) {
      throw diskError(error, dirname(dirname(file.path)), pixelBytes(shape));
    }
    throw error;
  }
}

const FULL = /no space|write (error|failed)|file too large|unable to write|tiff.*(write|flush|append)|vips2tiff/i;

/**
 * Whether writing stopped for want of room: by the words, which libvips keeps in one place for all threads, so that one may have
 * another's; or because what is left to write would not fit.
 */
async function isFull(file: TempFile, shape: PixelShape, error: Error): Promise<boolean> {
  if (FULL.test(error.message)) return true;
  const { size } = await file.handle.stat();
  const free = await file.free();
  return size < pixelBytes(shape) && free < pixelBytes(shape) - size;
}

/** A file with pixels from byte `start` on. */
interface Stored {
  readonly file: TempFile;
  readonly start: number;
  readonly shape: PixelShape;
}

function openSource(stored: Stored, { header, metadata, warnings, stored: { turned } }: Opened): FileSource {
  const { shape } = stored;
  const orientation = turned ? 1 : header.orientation;
  const size = orientedSize(shape.width, shape.height, orientation);
  const holder = hold(stored.file);
  // sharp spreads grey over three channels.
  const channels = (header.grey ? shape.channels - 2 : shape.channels) as Channels;
  return {
    ...size,
    bitDepth: shape.bitDepth,
    channels,
    header,
    metadata,
    warnings,
    async read(x, y, width, height, signal) {
      throwIfAborted(signal);
      checkRect(size, { x, y, width, height });
      const rect = storedRect({ x, y, width, height }, shape.width, shape.height, orientation);
      const data = await holder.use(() => readRows(stored, rect));
      throwIfAborted(signal);
      const image = { width: rect.width, height: rect.height, channels: shape.channels, data };
      return orient(header.grey ? asGrey(image) : image, orientation).data as Samples;
    },
    dispose: holder.dispose,
    [Symbol.asyncDispose]: holder.dispose,
  };
}

/**
 * A temporary file that takes pixels by rectangle, alpha included, and is then encoded row by row. Errors of `write`:
 * OPTION_INVALID, DISPOSED, OUTPUT_UNWRITABLE.
 */
export async function createFileSink(shape: PixelShape, options: FileOptions = {}): Promise<FileSink> {
  const { width, height, channels, bitDepth } = shape;
  const head = tiffHead(shape);
  const size = head.length + pixelBytes(shape);
  const file = await createTempFile('result.tif', size, options.directory, 'promised');
  const holder = hold(file);
  const wrap = (cause: unknown) => diskError(cause, dirname(dirname(file.path)), size);
  await file.handle.write(head, 0, head.length, 0).catch(async (cause: unknown) => {
    await holder.dispose();
    throw wrap(cause);
  });
  const stored: Stored = { file, start: head.length, shape };
  let written = 0;

  return {
    async write(x, y, w, h, data) {
      checkRect(shape, { x, y, width: w, height: h });
      if (data.length !== w * h * channels || data instanceof Uint16Array !== (bitDepth === 16)) {
        throw new ElfinError(
          'OPTION_INVALID',
          `${w} × ${h} pixels need ${w * h * channels} samples of ${bitDepth} bits.`,
        );
      }
      await holder
        .use(() => writeRows(stored, { x, y, width: w, height: h }, data))
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
      const { format, lossless } = encoding;
      const encoded = await holder.use(async (held) => {
        const pipeline = sharp(held.path, { limitInputPixels: false, ignoreIcc: true });
        if (format === 'jpeg' && hasAlpha(shape)) pipeline.flatten({ background: '#fff' });
        return encodeWith(pipeline, shape, { format, quality, lossless })
          .toBuffer()
          .catch((cause: unknown) => {
            throw encodeError(cause, format);
          });
      });
      throwIfAborted(encoding.signal);
      const bytes = new Uint8Array(encoded.buffer, encoded.byteOffset, encoded.length);
      return withMetadata(bytes, encoding, channels < 3);
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

/** File bytes read at once: whole rows, of which a rectangle may want a part. One call beats hundreds of small ones. */
const MOST_AT_ONCE = 4 * 1024 * 1024;

async function readRows({ file, start: begin, shape }: Stored, area: Rect): Promise<Samples> {
  const pixel = shape.channels * (shape.bitDepth / 8);
  const stride = rowBytes(shape);
  const length = area.width * pixel;
  const bytes = new Uint8Array(length * area.height);
  const start = begin + area.y * stride + area.x * pixel;
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

async function writeRows(
  { file: { handle }, start: begin, shape }: Stored,
  area: Rect,
  samples: Samples,
): Promise<void> {
  const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  const pixel = shape.channels * (shape.bitDepth / 8);
  const start = begin + area.y * rowBytes(shape) + area.x * pixel;
  // Whole rows lie in one piece.
  const whole = area.width === shape.width;
  const length = whole ? bytes.length : area.width * pixel;
  for (let from = 0, at = start; from < bytes.length; from += length, at += rowBytes(shape)) {
    for (let done = 0; done < length; ) {
      done += (await handle.write(bytes, from + done, length - done, at + done)).bytesWritten;
    }
  }
}
