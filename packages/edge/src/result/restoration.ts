import { type Codec, canonicalOptions, type Header, type ResultOptions, resultKey } from '@elfin/core';
import { type Made, mediaType, type RestoredPicture, type Work } from '../backends/backend.ts';
import type { ResultInfo } from '../http/headers.ts';
import { resolveFormat } from '../http/negotiate.ts';
import type { Plan } from '../url/transform.ts';
import type { Origin } from './source-reader.ts';
import type { StoredResult } from './store.ts';

/** A restored photo with all that results of it need beside its pixels. */
export interface Restoration {
  readonly picture: RestoredPicture;
  readonly origin: Origin;
  /** Of what restored it; see `createFingerprint`. */
  readonly fingerprint: string | undefined;
  /** Digests of the weights that may have restored it. */
  readonly models: readonly string[];
  /** Its picture's in the store. */
  readonly pictureKey: string | undefined;
}

/** Whether a plan's result needs nothing but a restored picture: neither the source blended in nor the source itself. */
export const isDerivable = ({ result }: Plan, { picture }: Restoration): boolean =>
  picture.image !== undefined && (result.strength ?? 1) === 1;

/** One result: of one source, in one shape and format. */
export const nameOf = ({ source, path, variant }: Plan): string => `${source}\n${path}\n${variant}`;

/** What of a plan the network sees: everything else is made of its picture afterwards. */
export function restoredOptions({ result }: Pick<Plan, 'result'>): ResultOptions {
  const { width: _, height: __, fit: ___, quality: ____, metadata: _____, strength: ______, ...restored } = result;
  return { ...restored, format: 'png' };
}

/** One restoration: of one source by one network, which all sizes, formats and strengths share. */
export const restorationName = (plan: Plan): string =>
  `${plan.source}\n${canonicalOptions(restoredOptions(plan))}${plan.firstFrame ? '\nfirst' : ''}`;

/**
 * The key of a restored picture. By the digest of the bytes and by nothing else of the source: a changed ETag, or another
 * address of the same photo, is no new restoration.
 */
export function pictureKey(
  plan: Pick<Plan, 'result'>,
  of: { readonly digest: string; readonly models: readonly string[]; readonly codec: Pick<Codec, 'name' | 'version'> },
): Promise<string> {
  const { digest, models, codec } = of;
  return resultKey({ source: '', validator: { sha256: digest }, options: restoredOptions(plan), models, codec });
}

/** What backends are given to do. */
export function toWork(
  plan: Plan,
  { bytes, header }: { readonly bytes: Uint8Array; readonly header: Header },
  codec: Pick<Codec, 'formats'>,
): Work {
  return { bytes, header, options: wantedOptions(plan, header, codec), firstFrame: plan.firstFrame };
}

/** A plan's options, the format decided. */
export const wantedOptions = (plan: Plan, header: Header, codec: Pick<Codec, 'formats'>): ResultOptions => ({
  ...plan.result,
  format: resolveFormat(plan.variant, header, codec.formats),
});

/** What was made, with its facts beside it. */
export function toResult(
  { header, size }: { readonly header: Header; readonly size: number },
  wanted: ResultOptions,
  made: Made,
): StoredResult {
  const info: ResultInfo = {
    input: { bytes: size, width: header.width, height: header.height, format: header.format },
    output: { bytes: made.bytes.byteLength, width: made.width, height: made.height, format: wanted.format },
    ...(made.restored && { restored: made.restored }),
  };
  return { bytes: made.bytes, type: mediaType(wanted.format), info };
}
