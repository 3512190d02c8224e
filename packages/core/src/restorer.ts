import { checkNames } from './base/check.ts';
import { ElfinError } from './base/errors.ts';
import { loadPart } from './base/lazy-import.ts';
import { type Codec, DEFAULT_LIMITS, type Decoded, type Header, type Metadata } from './image/codec.ts';
import { bitDepth, checkPixels, type PixelImage } from './image/pixels.ts';
import { rawImage, rawImageSink } from './image/raw.ts';
import type { Warning } from './image/warnings.ts';
import type { ModelRef, ModelSize, Task } from './model/models.ts';
import { applyResidual } from './residual/apply.ts';
import { RestoreEngine, type RestoreEngineOptions } from './restore/engine.ts';
import {
  APPLY_OPTION_NAMES,
  type ApplyOptions,
  INFER_OPTION_NAMES,
  type Inference,
  type InferOptions,
} from './restore/inference.ts';
import { type EncodedInput, isEncoded, readBytes } from './restore/input.ts';
import { checkRestoreOptions, RESTORE_OPTION_NAMES, type RestoreOptions } from './restore/options.ts';
import { finishReport, type RestoreReport } from './restore/report.ts';
import { finishOf } from './restore/run-model.ts';
import type { Backend } from './runtime/runtime.ts';
import { imageSink, imageSource } from './tiling/pixels.ts';

/** Encoded bytes, or pixels that are decoded already: sRGB, or what the `metadata` beside them says, as a codec gives it. */
export type RestoreInput = EncodedInput | ImageData | (PixelImage & { readonly metadata?: Metadata });

/** What a restorer is made of. */
export interface RestorerOptions extends RestoreEngineOptions {
  /** Needed for encoded images; pixels do without. Only its reading half is used. */
  readonly codec?: Pick<Codec, 'decode'>;
}

/** A restored image. */
export interface Restored {
  /** The input's sides, channels, depth and encoding; colours restored. */
  readonly image: PixelImage;
  /**
   * The degradation that the network predicted, |d − background|, as a picture at half resolution (sides rounded up): bright
   * where it found much. Black where `auto` found nothing to restore.
   */
  degradation(): PixelImage;
  /** Taken from the file, for the encoder to put back; empty for pixels. */
  readonly metadata: Metadata;
  /** What the file said of itself; absent for pixels. */
  readonly header?: Header;
  readonly report: RestoreReport;
}

/** What is to be ready before the first image comes. */
export interface WarmupOptions {
  readonly task: Task;
  readonly model?: ModelSize | ModelRef;
  readonly signal?: AbortSignal;
}

/** The facade; {@link createRestorer} makes one. */
export interface Restorer<Input = RestoreInput> extends AsyncDisposable {
  /**
   * Restores one image. Calls may overlap; they are worked off in turn.
   * Errors: IMAGE_*, INPUT_UNREADABLE, OPTION_INVALID, MODEL_*, WEIGHTS_*, RUNTIME_*, OUT_OF_MEMORY, ABORTED, DEADLINE_EXCEEDED,
   * DISPOSED; CONFIG_INVALID for an encoded image where there is no codec.
   */
  restore(input: Input, options: RestoreOptions): Promise<Restored>;
  /**
   * The first half of `restore`: what the network finds, without applying it. One inference makes every strength, exposure, size
   * and format of a result: see {@link encodeInference} for keeping it. Errors: as `restore`.
   */
  infer(input: Input, options: InferOptions): Promise<Inference>;
  /**
   * The second half, cheap and without the network: the picture that the inference was made of, with what it found applied.
   * `apply(await infer(x, o), x, p)` gives the pixels of `restore(x, { ...o, ...p })`.
   * Errors: IMAGE_*, INPUT_UNREADABLE, ABORTED; OPTION_INVALID for a picture of another size or depth, or an option out of range.
   */
  apply(inference: Inference, input: Input, options?: ApplyOptions): Promise<Omit<Restored, 'degradation'>>;
  /** Opens a model and runs it once, so that the first image need not wait for that; tells what it runs on. */
  warmup(options: WarmupOptions): Promise<Backend>;
  /** Ends the work in hand (DISPOSED) and closes every session. */
  dispose(): Promise<void>;
}

/** The facade: models, a runtime and a codec put together. Errors: OPTION_INVALID. */
export function createRestorer(options: RestorerOptions): Restorer {
  const { codec } = options;
  return assembleRestorer(new RestoreEngine(options), (input, given) => decode(input, codec, given));
}

/** Pixels of an input, with what came beside them. */
export interface OpenedInput {
  readonly image: PixelImage;
  readonly metadata: Metadata;
  readonly warnings: readonly Warning[];
  readonly header?: Header;
}

/** A restorer over any way of opening inputs; `./node` opens paths and URLs too. */
export function assembleRestorer<Input>(
  engine: RestoreEngine,
  open: (input: Input, options: RestoreOptions) => Promise<OpenedInput>,
): Restorer<Input> {
  const restorer: Restorer<Input> = {
    async restore(input, options) {
      const called = performance.now();
      checkNames('restore', options, RESTORE_OPTION_NAMES);
      const model = await engine.resolveModel(options);
      return engine.withSlot(options, async (signal) => {
        const begun = performance.now();
        const limited = { ...options, signal };
        options.onProgress?.({ phase: 'decode', tile: 0, tiles: 0, fraction: 0 });
        const { image, warnings, ...beside } = await open(input, limited);
        const decoded = performance.now();
        const { width, height } = image;
        const { source, sink, result } = await openPixels(image, beside.metadata, signal);
        const [halfWidth, halfHeight] = [Math.ceil(width / 2), Math.ceil(height / 2)];
        const prior = imageSink(halfWidth, halfHeight, bitDepth(image));
        const done = await engine.restore({ source, sink, prior }, model, limited);
        const restored = result();
        const ended = performance.now();
        const timings = {
          queue: begun - called,
          decode: decoded - begun,
          restore: ended - decoded,
          encode: 0,
          total: ended - called,
        };
        return {
          image: restored,
          degradation: () => prior.image,
          ...beside,
          report: finishReport(done, { warnings, timings, kept: 'pixels' }),
        };
      });
    },
    async infer(input, options) {
      const called = performance.now();
      checkNames('infer', options, INFER_OPTION_NAMES);
      const model = await engine.resolveModel(options);
      return engine.withSlot(options, async (signal) => {
        const begun = performance.now();
        options.onProgress?.({ phase: 'decode', tile: 0, tiles: 0, fraction: 0 });
        const { image, metadata, warnings } = await open(input, { ...options, signal });
        const decoded = performance.now();
        const { source } = await openPixels(image, metadata, signal);
        const { residual, report } = await engine.infer({ source }, model, { ...options, signal });
        const ended = performance.now();
        const [queue, decode, restore] = [begun - called, decoded - begun, ended - decoded];
        const timings = { queue, decode, restore, encode: 0, total: ended - called };
        return { residual, report: finishReport(report, { warnings, timings, kept: 'pixels' }) };
      });
    },
    async apply({ residual, report }, input, options = {}) {
      checkNames('apply', options, APPLY_OPTION_NAMES);
      const { task } = report;
      checkRestoreOptions({ ...options, task: task === 'none' ? 'auto' : task });
      const { signal } = options;
      const { image, warnings: _, ...beside } = await open(input, { ...options, task: 'auto' });
      if (!residual) return { image, ...beside, report };
      const { source, sink, result } = await openPixels(image, beside.metadata, signal);
      await applyResidual(residual, source, sink, { ...finishOf(options, task), signal });
      return { image: result(), ...beside, report };
    },
    warmup: ({ task, model, signal }) =>
      engine.withSlot(signal ? { signal } : {}, (both) => engine.warmup(task, model, both)),
    dispose: () => engine.dispose(),
    [Symbol.asyncDispose]: () => engine.dispose(),
  };
  return restorer;
}

/** Pixels as the network sees them, and where its result goes: back into their own encoding. */
async function openPixels(image: PixelImage, metadata: Metadata, signal: AbortSignal | undefined) {
  const { icc, cicp, gamma, chromaticities } = metadata;
  const tagged = icc || cicp || gamma !== undefined || chromaticities;
  if (image.channels === 3 && !tagged) {
    const sink = imageSink(image.width, image.height, bitDepth(image));
    return { source: imageSource(image), sink, result: () => sink.image };
  }
  const { openPicture, spaceOf } = await loadPart(import('./image/picture.ts'));
  const raw = rawImage(image);
  const picture = await openPicture(raw, { space: spaceOf(metadata, image.channels < 3), signal });
  const own = rawImageSink(raw);
  return { source: picture.source, sink: picture.into(own), result: () => own.image };
}

/** Encoded bytes through the codec, pixels as they are. */
export async function decode(
  input: unknown,
  codec: Pick<Codec, 'decode'> | undefined,
  { limits, animated, icc, strict, signal }: RestoreOptions,
): Promise<OpenedInput> {
  if (!isEncoded(input)) {
    const { metadata = {}, warnings = [] } = input as Partial<Decoded>;
    return { image: checkPixels(input), metadata, warnings };
  }
  if (!codec) {
    throw new ElfinError(
      'CONFIG_INVALID',
      'This restorer has no codec, so it takes pixels only; give createRestorer a codec to restore encoded images.',
    );
  }
  const bytes = await readBytes(input, limits?.bytes ?? DEFAULT_LIMITS.bytes, signal);
  const { header, metadata, warnings, ...image } = await codec.decode(bytes, {
    ...(limits && { limits }),
    ...(animated && { animated }),
    icc,
    strict,
    ...(signal && { signal }),
  });
  return { image, metadata, header, warnings };
}
