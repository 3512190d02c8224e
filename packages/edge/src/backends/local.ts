import {
  applyFit,
  type Codec,
  cutMetadata,
  type Decoded,
  ElfinError,
  type Header,
  type Metadata,
  type PixelImage,
  planFit,
  type RestoreOptions,
  type ResultOptions,
  restoreOptionsOf,
  type Task,
} from '@elfin/core';
import { addSpan, timed } from '../http/metrics.ts';
import {
  type Backend,
  costOf,
  type Made,
  type RestoredFacts,
  type RestoredPicture,
  type Work,
  type WorkContext,
} from './backend.ts';

/** What the local backend needs of core's restorer. */
export interface PixelRestorer {
  restore(
    image: PixelImage,
    options: RestoreOptions,
  ): Promise<{
    readonly image: PixelImage;
    readonly report:
      | { readonly task: 'none'; readonly timings?: { readonly queue: number } | undefined }
      | {
          /** Milliseconds; `queue` is what the restorer's own queue took. */
          readonly timings?: { readonly queue: number } | undefined;
          readonly task: Task;
          readonly model: string;
          readonly digest: string;
          readonly backend: { readonly provider: string };
          readonly tiling: string;
          readonly tiles: number;
        };
  }>;
}

export interface LocalBackendOptions {
  readonly codec: Codec;
  /** Missing: this process only resizes and encodes. */
  readonly restorer?: PixelRestorer | undefined;
  readonly maxPixels?: number | undefined;
  /** Largest image to restore, where computing time is dearer than memory. */
  readonly restorePixels?: number | undefined;
  /** Restore what fits here before workers are asked: in an isolate, where only small images fit. */
  readonly restoresFirst?: boolean | undefined;
  readonly name?: string;
}

/**
 * This process: decode, restore, fit, encode. What is only to be fitted and encoded is done here before anywhere else: it
 * takes less than the way to a worker, whose time is for networks. Decoding and encoding wait in the codec's lane, so that many
 * restorations do not stand in the way of plain thumbnails.
 */
export function createLocalBackend(options: LocalBackendOptions): Backend {
  const { codec, restorer, maxPixels = 50_000_000, restorePixels, restoresFirst = false, name = 'local' } = options;

  async function make(work: Work, context: WorkContext): Promise<Made> {
    const inLane = codecLane(context, work);
    if (work.options.restore === 'none') {
      // One turn for both: half a resize in memory would only wait for the other half.
      return inLane(async () => {
        const decoded = await decode(codec, work, maxPixels, context);
        const { metadata } = decoded;
        return encode(codec, { image: decoded, metadata, header: work.header }, work.options, context);
      });
    }
    if (!restorer) throw new ElfinError('RUNTIME_UNAVAILABLE', 'This process has no network to restore with.');
    const decoded = await inLane(() => decode(codec, work, maxPixels, context));
    const picture = await restore(restorer, decoded, work, context);
    return inLane(() =>
      finish(
        codec,
        { picture, source: async () => decoded, header: work.header, bytes: work.bytes, wanted: work.options },
        context,
      ),
    );
  }

  async function restore(by: PixelRestorer, decoded: Decoded, { options: wanted }: Work, context: WorkContext) {
    const { signal, deadline, onProgress } = context;
    const begin = performance.now();
    const { image, report } = await by.restore(decoded, {
      ...restoreOptionsOf({ ...wanted, strength: undefined }),
      signal,
      deadline,
      onProgress: ({ fraction }) => onProgress(fraction * 0.95),
    });
    const queue = report.timings?.queue ?? 0;
    if (queue > 0) addSpan('queue', queue, context);
    addSpan('infer', performance.now() - begin - queue, context);
    const untouched = { task: 'none', model: 'none', digest: '', by: name, provider: 'none' };
    const picture: RestoredPicture = {
      image: report.task === 'none' ? undefined : image,
      metadata: decoded.metadata,
      facts: report.task === 'none' ? untouched : factsOf(report, name),
    };
    return picture;
  }

  return {
    name,
    maxPixels,
    restorePixels,
    animations: true,
    available: () => true,
    prefers: ({ options: wanted }) => restoresFirst || wanted.restore === 'none',
    make,
  };
}

type Restored = Extract<Awaited<ReturnType<PixelRestorer['restore']>>['report'], { readonly model: string }>;

const factsOf = (report: Restored, by: string): RestoredFacts => ({
  task: report.task,
  model: report.model,
  digest: report.digest,
  by,
  provider: report.backend.provider,
  tiling: report.tiling,
  tiles: report.tiles,
});

/** Waits for a turn in the codec's lane, and counts the wait as what it is. */
export function codecLane(context: WorkContext, { header }: Pick<Work, 'header'>) {
  return <T>(work: () => Promise<T>): Promise<T> =>
    context.codecLane.run(
      ({ waited }) => {
        addSpan('queue', waited, context);
        return work();
      },
      { signal: context.signal, cost: costOf(header) },
    );
}

/** Decodes a source. Errors: IMAGE_*. */
export function decode(
  codec: Pick<Codec, 'decode'>,
  {
    bytes,
    firstFrame,
    options,
  }: Pick<Work, 'bytes' | 'firstFrame'> & { readonly options?: Pick<ResultOptions, 'icc'> },
  maxPixels: number,
  context: WorkContext,
): Promise<Decoded> {
  return timed('decode', context, () =>
    codec.decode(bytes, {
      limits: { bytes: bytes.byteLength, pixels: maxPixels },
      animated: firstFrame ? 'first' : 'refuse',
      icc: options?.icc,
      signal: context.signal,
    }),
  );
}

/** What a result is made of when no network is needed any more. */
export interface Finish {
  readonly picture: RestoredPicture;
  /** The source's pixels, asked for only where the result shows some of them. */
  readonly source: () => Promise<PixelImage>;
  /** The source's. */
  readonly header: Header;
  /** The source as it came, where it is at hand. */
  readonly bytes?: Uint8Array | undefined;
  readonly wanted: ResultOptions;
}

/** Blends, fits and encodes a restored picture. Errors: IMAGE_*. */
export async function finish(codec: Codec, of: Finish, context: WorkContext): Promise<Made> {
  const { picture, source, header, wanted } = of;
  const untouched = ownFile(of);
  if (untouched) return untouched;
  const { strength = 1 } = wanted;
  const { metadata, facts } = picture;
  let image = picture.image;
  if (!image || strength === 0) image = await source();
  else if (strength < 1) image = blend(await source(), image, strength);
  return { ...(await encode(codec, { image, metadata, header }, wanted, context)), restored: facts, picture };
}

/** The file itself, its compressed pixels as they are, where nothing was found to restore and nothing else is asked for. */
function ownFile({ picture, header, bytes, wanted }: Finish): Made | undefined {
  const { width, height } = planFit(header, wanted);
  const whole = width === header.width && height === header.height && header.frames === 1;
  const { format } = wanted;
  if (!bytes || picture.facts.task !== 'none' || !whole || format !== header.format) return undefined;
  const own = cutMetadata(bytes, { ...header, format }, picture.metadata, wanted.metadata);
  return { bytes: own, width, height, restored: picture.facts, picture };
}

/** Between the source and its restoration, both as they would be shown. */
function blend(source: PixelImage, restored: PixelImage, strength: number): PixelImage {
  const data = restored.data.slice();
  const { data: from } = source;
  for (let i = 0; i < data.length; i++) {
    const before = from[i] as number;
    data[i] = Math.round(before + strength * ((data[i] as number) - before));
  }
  return { ...restored, data };
}

async function encode(
  codec: Codec,
  { image, metadata, header }: { readonly image: PixelImage; readonly metadata: Metadata; readonly header: Header },
  wanted: ResultOptions,
  context: WorkContext,
): Promise<Made> {
  const { signal } = context;
  const plan = planFit(image, wanted);
  return timed('encode', context, async () => {
    const fitted = await applyFit(image, plan, codec);
    if (signal.aborted) throw signal.reason;
    const bytes = await codec.encode(fitted, {
      format: wanted.format,
      // What came without loss, and is asked for in the same format and no quality, stays without.
      lossless: header.lossless && wanted.format === header.format && wanted.quality === undefined,
      ...(wanted.quality === undefined ? {} : { quality: wanted.quality }),
      metadata,
      policy: wanted.metadata ?? 'none',
      signal,
    });
    return { bytes, width: plan.width, height: plan.height };
  });
}
