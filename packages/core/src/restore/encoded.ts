import { checkNames } from '../base/check.ts';
import type { EncodeOptions, Header, ImageFormat, Metadata, OutputFormat } from '../image/codec.ts';
import { SHARP } from '../image/codecs/sharp-pipeline.ts';
import { checkEncode, lossesOf } from '../image/encoding.ts';
import { cutMetadata } from '../image/metadata/cut.ts';
import { openPicture, spaceOf, untagged } from '../image/picture.ts';
import type { PixelImage } from '../image/pixels.ts';
import { createFileSink, decodeToFile } from '../image/raw-file.ts';
import { imageSink } from '../tiling/pixels.ts';
import type { RestoreEngine } from './engine.ts';
import { RESTORE_OPTION_NAMES, type RestoreOptions } from './options.ts';
import { finishReport, type RestoreReport } from './report.ts';

/** How a restored image is written. */
export interface EncodedOptions extends RestoreOptions {
  /** The source's own by default; JPEG for HEIC, and PNG, which loses nothing, for what else is not written. */
  readonly format?: OutputFormat | undefined;
  /** 1…100, for formats that lose something. */
  readonly quality?: number | undefined;
  /** What of the source's metadata is kept; `none` by default. */
  readonly metadata?: EncodeOptions['policy'] | undefined;
  /** Where temporary files go; the system's folder by default. */
  readonly directory?: string | undefined;
}

/** A restored image, encoded again. */
export interface RestoredBytes {
  readonly bytes: Uint8Array;
  readonly format: OutputFormat;
  /** What the source said of itself, and what came with it. */
  readonly header: Header;
  readonly metadata: Metadata;
  /** See `Restored.degradation`. */
  degradation(): PixelImage;
  readonly report: RestoreReport;
}

/**
 * Encoded bytes to encoded bytes with the pixels in temporary files: memory stays that of the tiles in hand, whatever the
 * image's size (`whole` excepted). Errors: those of `Restorer.restore`, OUTPUT_UNWRITABLE when the temporary folder is full.
 */
export async function restoreThroughFiles(
  engine: RestoreEngine,
  read: (options: RestoreOptions) => Promise<Uint8Array>,
  options: EncodedOptions,
): Promise<RestoredBytes> {
  const called = performance.now();
  checkNames('restoreEncoded', options, [...RESTORE_OPTION_NAMES, 'format', 'quality', 'metadata', 'directory']);
  const { limits, animated, icc, strict, quality, metadata: policy, directory } = options;
  const lossy = quality === undefined ? {} : { quality };
  // Both before any work is done, as far as is known then: minutes of it would be for nothing.
  checkEncode(SHARP, { width: 1, height: 1 }, { format: options.format ?? 'png', ...lossy });
  const model = await engine.resolveModel(options);
  return engine.withSlot(options, async (signal) => {
    const limited = { ...options, signal };
    const folder = directory === undefined ? {} : { directory };
    const begun = performance.now();
    options.onProgress?.({ phase: 'decode', tile: 0, tiles: 0, fraction: 0 });
    const given = await read(limited);
    await using raw = await decodeToFile(given, {
      signal,
      ...folder,
      ...(limits && { limits }),
      ...(animated && { animated }),
      icc,
      strict,
    });
    const decoded = performance.now();
    const { width, height, bitDepth, channels, header } = raw;
    const metadata = icc === 'srgb' ? untagged(raw.metadata) : raw.metadata;
    const format = options.format ?? writable(header.format);
    const lossless = header.lossless && quality === undefined && format === header.format;
    const encoding = { format, metadata, lossless, ...lossy, ...(policy && { policy }) };
    checkEncode(SHARP, raw, encoding);
    const picture = await openPicture(raw, { space: spaceOf(raw.metadata, header.grey), icc, signal });
    await using sink = await createFileSink({ width, height, bitDepth, channels }, folder);
    const prior = imageSink(Math.ceil(width / 2), Math.ceil(height / 2), bitDepth);
    const io = { source: picture.source, sink: picture.into(sink), prior };
    const done = await engine.restore(io, model, limited);
    const restored = performance.now();
    // Nothing was found: the file itself, as long as it is what was asked for.
    const own = done.task === 'none' && isOwn(header, format) && metadata === raw.metadata;
    const bytes = own
      ? cutMetadata(given, { ...header, format }, metadata, policy)
      : await sink.encode({ ...encoding, signal });
    const warnings = [...raw.warnings, ...(own ? [] : lossesOf(header, metadata, encoding))];
    const ended = performance.now();
    const timings = {
      queue: begun - called,
      decode: decoded - begun,
      restore: restored - decoded,
      encode: ended - restored,
      total: ended - called,
    };
    const report = finishReport(done, { warnings, timings, kept: own ? 'source' : 'encoded' });
    return { bytes, format, header, metadata, degradation: () => prior.image, report };
  });
}

/** Whether a source is already a still of this format. */
function isOwn(header: Header, format: OutputFormat): boolean {
  return header.format === format && header.frames === 1;
}

function writable(format: ImageFormat): OutputFormat {
  // Phones write HEIC where they used to write JPEG: what takes a photo takes that.
  if (format === 'heif') return 'jpeg';
  return format === 'gif' || format === 'bmp' ? 'png' : format;
}
