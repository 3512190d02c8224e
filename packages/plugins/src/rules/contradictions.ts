import { ElfinError } from '@elfin/core';
import type { Rule } from './rules.ts';

/**
 * Refuses rules that can never do anything: what was meant by them would be missed for a year.
 *
 * @throws CONFIG_INVALID, naming the rule and why it cannot fire.
 */
export function assertRulesCanFire(rules: readonly Rule[]): void {
  rules.forEach((rule, index) => {
    const reason = whyNever(rule) ?? whyShadowed(rule, rules.slice(0, index));
    if (reason === undefined) return;
    throw new ElfinError('CONFIG_INVALID', `${rule.name} could never fire: ${reason}.`, { data: { rule: rule.name } });
  });
}

function whyNever({ minBytes, maxBytes, suffix, types, exclude, prefix }: Rule): string | undefined {
  if (minBytes > maxBytes) return `its minBytes ${minBytes} is above its maxBytes ${maxBytes}`;
  if (suffix.length === 0) return 'its list of suffixes is empty';
  if (types?.length === 0) return 'its list of types is empty';
  const excluded = exclude.find((part) => prefix.startsWith(part));
  return excluded === undefined ? undefined : `its exclude "${excluded}" holds all of its prefix "${prefix}"`;
}

function whyShadowed(rule: Rule, earlier: readonly Rule[]): string | undefined {
  const taker = earlier.find((other) => takesAllOf(other, rule));
  return (
    taker && `${taker.name} comes before it and takes every object that it wants; put it first, or narrow the other`
  );
}

/** Whether the first rule takes whatever the second one would. */
function takesAllOf(first: Rule, second: Rule): boolean {
  const bucket = first.bucket === undefined || first.bucket === second.bucket;
  const prefix = second.prefix.startsWith(first.prefix);
  // What the first one leaves alone might be the second one's.
  const whole = first.exclude.every((part) => !part.startsWith(second.prefix) && !second.prefix.startsWith(part));
  const suffix = second.suffix.every((ending) =>
    first.suffix.some((wanted) => ending.toLowerCase().endsWith(wanted.toLowerCase())),
  );
  const types = first.types === undefined || (second.types?.every((type) => first.types!.includes(type)) ?? false);
  return bucket && prefix && whole && suffix && types;
}
