import { ElfinError } from '../base/errors.ts';
import type { PixelImage } from '../image/pixels.ts';
import type { Task } from '../model/models.ts';
import type { Classification } from '../restore/options.ts';
import { measureFeatures } from './features.ts';
import { BIAS, CLASSES, FEATURES, THRESHOLD } from './table.ts';

/** A {@link Classification} that says why. */
export interface ExplainedClassification extends Classification {
  /** Probabilities of `none`, `derain`, `lowlight` and `underwater`; they sum to 1. */
  readonly scores: Readonly<Record<Task | 'none', number>>;
  /** The measurements that spoke loudest for the answer, strongest first, for example `luma p50 0.08 (usual 0.41)`. */
  readonly reasons: readonly string[];
}

const REASONS = 3;
/** A nearly even surface shows no degradation that could be told from its colour. */
const LEAST_CONTRAST = 0.01;
const CONTRAST = FEATURES.findIndex(({ name }) => name === 'luma deviation');
/** Smallest side that holds one whole block of detail. */
export const CLASSIFY_LEAST_SIDE = 48;

/**
 * Tells what a photo suffers from: a softmax over a few dozen measurements (brightness, colour, direction of fine
 * detail), trained by `python -m training.classify` on synthesised degradations. An unsure answer is `none`, because
 * restoring a clean photo costs more than passing a faintly degraded one.
 *
 * @param thumbnail RGB or RGBA, 8 or 16 bits, at best with a long side of 512 as the restorer makes it; alpha is ignored.
 * A thumbnail with a side below {@link CLASSIFY_LEAST_SIDE} shows too little and is `none`.
 * @throws OPTION_INVALID where the data's length contradicts the sides
 */
export function classify(thumbnail: PixelImage): ExplainedClassification {
  const { width, height, channels, data } = thumbnail;
  if (data.length !== width * height * channels) {
    throw new ElfinError(
      'OPTION_INVALID',
      `A ${width} × ${height} thumbnail needs ${width * height * channels} samples, not ${data.length}.`,
    );
  }
  if (Math.min(width, height) < CLASSIFY_LEAST_SIDE)
    return answer([1, 0, 0, 0], [`smaller than ${CLASSIFY_LEAST_SIDE} pixels`]);
  const values = measureFeatures(thumbnail);
  if (values[CONTRAST]! < LEAST_CONTRAST) return answer([1, 0, 0, 0], ['no contrast']);
  const standard = FEATURES.map(({ mean, deviation }, i) => Math.max(-4, Math.min(4, (values[i]! - mean) / deviation)));
  const logits = BIAS.map((bias, c) =>
    FEATURES.reduce((sum, { weights }, i) => sum + weights[c]! * standard[i]!, bias),
  );
  const top = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - top));
  const total = powers.reduce((a, b) => a + b);
  const probabilities = powers.map((power) => power / total);
  const winner = choose(probabilities);
  return answer(probabilities, explain(winner, standard, values));
}

/** Index of the likeliest class, or of `none` where it is not likely enough. */
function choose(probabilities: readonly number[]): number {
  const best = probabilities.indexOf(Math.max(...probabilities));
  return probabilities[best]! >= THRESHOLD ? best : 0;
}

function answer(probabilities: readonly number[], reasons: readonly string[]): ExplainedClassification {
  const winner = choose(probabilities);
  const scores = Object.fromEntries(CLASSES.map((name, c) => [name, probabilities[c]!]));
  return {
    task: CLASSES[winner]!,
    confidence: probabilities[winner]!,
    scores: scores as ExplainedClassification['scores'],
    reasons,
  };
}

/** What a measurement adds to the winner beyond what it adds to the other classes on average. */
function explain(winner: number, standard: readonly number[], values: readonly number[]): string[] {
  return FEATURES.map(({ name, mean, weights }, i) => {
    const others = weights.reduce((sum, weight, c) => sum + (c === winner ? 0 : weight), 0) / (weights.length - 1);
    return {
      says: (weights[winner]! - others) * standard[i]!,
      text: `${name} ${round(values[i]!)} (usual ${round(mean)})`,
    };
  })
    .filter(({ says }) => says > 0)
    .sort((a, b) => b.says - a.says)
    .slice(0, REASONS)
    .map(({ text }) => text);
}

function round(value: number): string {
  return value.toFixed(2);
}
