import { readResidual, writeResidual } from '../residual/file.ts';
import type { Residual } from '../residual/residual.ts';
import { RESTORE_OPTION_NAMES, type RestoreOptions } from './options.ts';
import type { RestoreReport } from './report.ts';

/**
 * What the network found in one picture, to be applied to it as often as wanted: with other strengths and exposures, before any
 * resizing and in any format.
 */
export interface Inference {
  /** Absent where `auto` found nothing to restore. */
  readonly residual?: Residual | undefined;
  readonly report: RestoreReport;
}

/** What an inference depends on: everything but what is done afterwards. */
export type InferOptions = Omit<RestoreOptions, 'strength' | 'exposure'>;

/** How an inference is applied. */
export type ApplyOptions = Pick<
  RestoreOptions,
  'strength' | 'exposure' | 'limits' | 'animated' | 'icc' | 'strict' | 'signal'
>;

const APPLIED = ['strength', 'exposure'];

/** The names of {@link InferOptions}. */
export const INFER_OPTION_NAMES = RESTORE_OPTION_NAMES.filter((name) => !APPLIED.includes(name));
/** The names of {@link ApplyOptions}. */
export const APPLY_OPTION_NAMES = [...APPLIED, 'limits', 'animated', 'icc', 'strict', 'signal'];

/**
 * An inference as bytes, for a store: lossless, compressed; about one to four bytes a pixel that the network saw.
 *
 * @example
 * const inference = await restorer.infer(photo, { task: 'derain' });
 * await store.put('photo.inference', encodeInference(inference));
 */
export function encodeInference({ residual, report }: Inference): Uint8Array {
  return writeResidual({ residual, facts: report });
}

/**
 * What {@link encodeInference} wrote, for `Restorer.apply`. Errors: INPUT_UNREADABLE for other bytes.
 *
 * @example
 * const inference = decodeInference(await store.get('photo.inference'));
 * const { image } = await restorer.apply(inference, photo, { strength: 0.8 });
 */
export function decodeInference(bytes: Uint8Array): Inference {
  const { residual, facts } = readResidual<RestoreReport>(bytes);
  return { residual, report: facts };
}
