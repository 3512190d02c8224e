import { printable } from '../io/printable.ts';
import type { Outcome } from './outcome.ts';

/** What became of one input, in a line; `how` adds what it was done with. */
export function describeOutcome(
  { input, output = '', comparison, map, report, skipped }: Outcome,
  how: boolean,
): string {
  const from = printable(input);
  const to = printable(output);
  if (skipped) return `${from}: ${skipped === 'exists' ? `${to} exists` : `${to} is up to date`}, skipped\n`;
  const more = [comparison, map]
    .flatMap((file) => (file === undefined ? [] : [`    and ${printable(file)}\n`]))
    .join('');
  const warnings = report?.warnings.map(({ message }) => `    note: ${printable(message)}\n`) ?? [];
  if (!report || report.task === 'none')
    return `${from}: nothing to restore, copied → ${to}\n${more}${warnings.join('')}`;
  if (!how) return `${from} → ${to}\n${more}${warnings.join('')}`;
  const { task, model, backend, resolution, tiling, tiles, timings } = report;
  const threads = backend.threads > 0 ? ` × ${backend.threads} threads` : '';
  const seconds = (timings.total / 1000).toFixed(1);
  const done = `${task} with ${model}, ${backend.provider}${threads}, seen at ${resolution.width} × ${resolution.height}, ${tiling}, ${tiles} ${tiles === 1 ? 'tile' : 'tiles'}, ${seconds} s`;
  return `${from} → ${to}\n    ${done}\n${more}${warnings.join('')}`;
}
