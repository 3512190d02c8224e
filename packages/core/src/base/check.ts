import leven from 'leven';
import { ElfinError } from './errors.ts';

/** An OPTION_INVALID in the one form that all of them have: `tile must be a multiple of 16 from 64 to 8192, not 100.` */
export function invalidOption(name: string, expected: string, value: unknown): ElfinError {
  return new ElfinError('OPTION_INVALID', `${name} must be ${expected}, not ${show(value)}.`, {
    data: { option: name },
  });
}

/** Bounds of a whole number; `multiple` is 1 where it is not given. */
export interface IntegerRange {
  readonly min: number;
  readonly max?: number | undefined;
  readonly multiple?: number | undefined;
}

/** Whether `value` is a whole number inside the range. */
export function isInteger(
  value: unknown,
  { min, max = Number.POSITIVE_INFINITY, multiple = 1 }: IntegerRange,
): boolean {
  return (
    Number.isInteger(value) &&
    (value as number) >= min &&
    (value as number) <= max &&
    (value as number) % multiple === 0
  );
}

/** What {@link isInteger} wants, in words. */
export function integerWords({ min, max, multiple = 1 }: IntegerRange): string {
  const kind = multiple === 1 ? 'a whole number' : `a multiple of ${multiple}`;
  return `${kind} ${max === undefined ? `from ${min} up` : `from ${min} to ${max}`}`;
}

/** Errors: OPTION_INVALID unless `value` is a whole number inside the range; absent values pass. */
export function checkInteger(name: string, value: unknown, range: IntegerRange): void {
  if (value !== undefined && !isInteger(value, range)) throw invalidOption(name, integerWords(range), value);
}

/** The name out of `known` that was most likely meant: at most two letters away. */
export function closestName(name: string, known: Iterable<string>): string | undefined {
  return [...known]
    .map((candidate) => ({ candidate, distance: leven(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= Math.min(2, candidate.length - 1))
    .sort((one, other) => one.distance - other.distance)[0]?.candidate;
}

/** Errors: OPTION_INVALID for a key of `given` that is not in `known`, which JavaScript would pass over in silence. */
export function checkNames(where: string, given: object, known: readonly string[]): void {
  const odd = Object.keys(given).find((name) => !known.includes(name));
  if (odd === undefined) return;
  const near = closestName(odd, known);
  const advice = near ? `did you mean ${near}?` : `known: ${known.join(', ')}.`;
  throw new ElfinError('OPTION_INVALID', `${where} has no option ${odd.slice(0, 40)}: ${advice}`, {
    data: { option: odd.slice(0, 40) },
  });
}

function show(value: unknown): string {
  if (typeof value === 'string') return `"${value.length > 40 ? `${value.slice(0, 40)}…` : value}"`;
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
