import { ElfinError } from '@elfin/core';
import type { Rule } from './rules.ts';
import { literalPrefix, possibleTails } from './template.ts';

interface Written {
  readonly what: string;
  readonly bucket: string | undefined;
  /** Everything before the first placeholder. */
  readonly prefix: string;
  /** Every ending it may have; an empty one may be anything. */
  readonly tails: readonly string[];
}

/**
 * Refuses rules that could feed on what elfin writes. A result that triggers a rule makes another result, for ever, and
 * somebody pays for each. Judged by what a template may expand to, so a rule that only might loop is refused as well.
 *
 * @throws CONFIG_INVALID, saying which rule, what it would catch, and what to exclude.
 */
export function assertNoLoops(rules: readonly Rule[], reserved: readonly string[]): void {
  for (const writer of rules) {
    const bucket = writer.destinationBucket ?? writer.bucket;
    const written: Written[] = [
      {
        what: 'destination',
        bucket,
        prefix: literalPrefix(writer.destination),
        tails: possibleTails(writer.destination, writer.format),
      },
      ...(writer.alias === undefined
        ? []
        : [
            {
              what: 'alias',
              bucket,
              prefix: literalPrefix(writer.alias),
              tails: possibleTails(writer.alias, writer.format),
            },
          ]),
      ...reserved.map((prefix) => ({ what: `files under "${prefix}"`, bucket, prefix, tails: ['.json'] })),
    ];
    for (const reader of rules) {
      const caught = written.find((place) => mayCatch(reader, place));
      if (caught === undefined) continue;
      const remedy =
        caught.prefix === ''
          ? 'Give the destination a prefix of its own.'
          : `Give the rule a prefix such as "incoming/", or add "${caught.prefix}" to its exclude.`;
      const message = `${reader.name} could loop: it would catch the ${caught.what} that ${writer.name} writes. ${remedy}`;
      throw new ElfinError('CONFIG_INVALID', message, { data: { rule: reader.name } });
    }
  }
}

function mayCatch(rule: Rule, { bucket, prefix, tails }: Written): boolean {
  if (bucket !== undefined && rule.bucket !== undefined && bucket !== rule.bucket) return false;
  if (!prefix.startsWith(rule.prefix) && !rule.prefix.startsWith(prefix)) return false;
  if (rule.exclude.some((excluded) => prefix.startsWith(excluded))) return false;
  return rule.suffix.some((suffix) =>
    tails.some((tail) => tail.endsWith(suffix.toLowerCase()) || suffix.toLowerCase().endsWith(tail)),
  );
}
