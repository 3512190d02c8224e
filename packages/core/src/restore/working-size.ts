import { ElfinError } from '../base/errors.ts';
import type { Manifest } from '../model/manifest.ts';
import type { Task } from '../model/models.ts';
import { RESULT_OPTIONS } from '../options/table.ts';
import type { RestoreOptions } from './options.ts';

/** The size at which the network sees a picture. */
export interface WorkingSize {
  readonly width: number;
  readonly height: number;
  /** Why this one, in a few words. */
  readonly reason: string;
}

/** What weights were trained on, where their manifest does not say. */
const TRAINED: Readonly<Record<Task, NonNullable<Manifest['trained']>>> = {
  derain: { sides: [320, 800], shrink: 4 },
  // Trained on noise of full size only: shrinking takes it away, and with it what the weights judge darkness by.
  lowlight: { sides: [320, 800], shrink: 1 },
  underwater: { sides: [320, 800], shrink: 4 },
};
/** Up to so much above the largest side of training a picture is left at its own size. */
const TOLERANCE = 1.25;
/** Where in the range of training a large picture is put, from its lower end (0) to its upper (1). */
const PLACE = 5 / 6;

/**
 * The size at which the network is to see a picture: `full`, a short side, or by `auto` what the weights were trained for. It
 * follows from the picture's size and the model alone, so that everything made of one source shares one restoration.
 * Errors: OPTION_INVALID for a short side above the picture's.
 */
export function chooseWorkingSize(
  { width, height }: { readonly width: number; readonly height: number },
  { task, trained = TRAINED[task] }: Pick<Manifest, 'task' | 'trained'>,
  resolution: RestoreOptions['resolution'] = RESULT_OPTIONS.resolution.default,
): WorkingSize {
  const short = Math.min(width, height);
  if (resolution === 'full') return { width, height, reason: 'full size, as asked' };
  if (resolution !== 'auto') {
    if (resolution > short) {
      throw new ElfinError(
        'OPTION_INVALID',
        `resolution must be at most ${short}, the short side of this picture, not ${resolution}; take auto or full.`,
        { data: { option: 'resolution', most: short } },
      );
    }
    return { ...scaled(width, height, short / resolution), reason: 'as asked' };
  }
  const { sides, shrink } = trained;
  const [least, most] = sides;
  if (short <= TOLERANCE * most)
    return { width, height, reason: `full size: its short side is within the ${least} to ${most} of training` };
  if (shrink <= 1) return { width, height, reason: 'full size: these weights were not trained on shrunk pictures' };
  const wanted = short / (least + PLACE * (most - least));
  // Far beyond what was trained, enlarging costs sharpness too: half of the way, in proportion, goes to either.
  const factor = wanted <= shrink ? wanted : Math.sqrt(wanted * shrink);
  const size = scaled(width, height, factor);
  const reason = `shrunk ${factor.toFixed(1)} times: the weights were trained on short sides of ${least} to ${most}, and this one is ${short}`;
  return { ...size, reason };
}

function scaled(width: number, height: number, factor: number): { readonly width: number; readonly height: number } {
  return { width: Math.max(1, Math.round(width / factor)), height: Math.max(1, Math.round(height / factor)) };
}
