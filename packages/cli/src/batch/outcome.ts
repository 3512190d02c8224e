import type { RestoreReport } from '@elfin/core';
import type { Failure } from '../report/failure.ts';

/** What became of one input, as `--json` prints it. */
export interface Outcome {
  readonly input: string;
  readonly output?: string | undefined;
  readonly comparison?: string | undefined;
  readonly map?: string | undefined;
  readonly report?: RestoreReport | undefined;
  /** Why nothing was done, where nothing had to be. */
  readonly skipped?: 'exists' | 'up to date' | 'same file' | undefined;
  readonly error?: Failure | undefined;
}

/** How many of a batch went which way. */
export interface Counts {
  readonly restored: number;
  /** `auto` found nothing to restore. */
  readonly unchanged: number;
  readonly skipped: number;
  readonly failed: number;
  /** Left over by an interruption. */
  readonly notBegun: number;
}

/** Counts outcomes; `planned` is how many there would have been without an interruption. */
export function countOutcomes(outcomes: readonly Outcome[], planned: number): Counts {
  const count = (test: (outcome: Outcome) => boolean) => outcomes.filter(test).length;
  return {
    restored: count(({ report }) => report !== undefined && report.task !== 'none'),
    unchanged: count(({ report }) => report?.task === 'none'),
    skipped: count(({ skipped }) => skipped !== undefined),
    failed: count(({ error }) => error !== undefined),
    notBegun: planned - outcomes.length,
  };
}

/** `12 restored, 3 skipped, 1 failed (IMAGE_CORRUPT)`: what happened, in words, without what did not. */
export function describeCounts(counts: Counts, outcomes: readonly Outcome[]): string {
  const codes = new Map<string, number>();
  for (const { error } of outcomes) if (error) codes.set(error.code, (codes.get(error.code) ?? 0) + 1);
  const why = [...codes].map(([code, n]) => (codes.size > 1 || n < counts.failed ? `${n} ${code}` : code)).join(', ');
  const parts = [
    counts.restored > 0 || counts.unchanged + counts.skipped + counts.failed === 0 ? `${counts.restored} restored` : '',
    counts.unchanged > 0 ? `${counts.unchanged} with nothing to restore` : '',
    counts.skipped > 0 ? `${counts.skipped} skipped` : '',
    counts.failed > 0 ? `${counts.failed} failed (${why})` : '',
    counts.notBegun > 0 ? `${counts.notBegun} not begun` : '',
  ];
  return parts.filter((part) => part !== '').join(', ');
}
