import { ElfinError, TASKS } from '@elfin/core';
import { z } from 'zod';
import type { UploadEvent } from '../events/event.ts';
import { assertRulesCanFire } from './contradictions.ts';
import { assertNoLoops } from './loops.ts';
import { OPTION_FIELDS } from './options.ts';
import { ALIAS_NEEDS, assertTemplate, DESTINATION_NEEDS } from './template.ts';

const texts = z.union([z.string(), z.array(z.string())]).transform((value) => (Array.isArray(value) ? value : [value]));

/** Every field of a rule; the table in docs/plugins.md is made of these words. */
export const RuleSchema = z.strictObject({
  name: z.string().min(1).optional().describe('For people: reports and the quarantine name it.'),
  bucket: z.string().min(1).optional().describe('Objects of this bucket; any where it is absent.'),
  prefix: z.string().default('').describe('Objects whose key begins so.'),
  suffix: texts
    .default(['.jpg', '.jpeg', '.png', '.webp', '.avif', '.tif', '.tiff'])
    .describe('Objects whose key ends so, in upper or lower case; one or a list.'),
  exclude: texts.default([]).describe('Prefixes inside `prefix` that the rule leaves alone.'),
  minBytes: z.int().nonnegative().default(1).describe('Smaller objects are skipped.'),
  maxBytes: z
    .int()
    .positive()
    .default(64 * 1024 * 1024)
    .describe('Larger objects are quarantined.'),
  types: texts.optional().describe('Content types, `image/*` too; any where it is absent.'),
  task: z.enum([...TASKS, 'auto']).describe('What to do; `auto` where the restorer has a classifier.'),
  ...OPTION_FIELDS,
  format: z
    .enum(['auto', 'jpeg', 'png', 'webp', 'avif', 'tiff'])
    .default('auto')
    .describe("Of the result; `auto` keeps the source's."),
  metadata: z
    .enum(['none', 'copyright', 'keep'])
    .default('copyright')
    .describe("What survives of the image's EXIF, XMP and IPTC."),
  keep: z
    .array(z.enum(['userMetadata', 'tags', 'storageClass']))
    .default(['userMetadata'])
    .describe('What results take over from the object that they are made of.'),
  tags: z
    .record(z.string().min(1).max(128), z.string().max(256))
    .optional()
    .describe('Tags of results, beside those kept.'),
  storageClass: z.string().min(1).optional().describe('Storage class of results, instead of the one kept.'),
  destination: z
    .string()
    .default('restored/{key}/{digest8}.{ext}')
    .describe('Where to: `{key}`, or `{dir}` with `{name}` or `{stem}`; `{digest8}` or `{digest}`; `{ext}`, `{task}`.'),
  destinationBucket: z.string().min(1).optional().describe("Another bucket than the source's."),
  alias: z
    .string()
    .optional()
    .describe('A stable copy for the newest upload, for example `latest/{key}`; `{key}`, or `{dir}` with `{name}`.'),
});

/** A rule as written in a configuration: see docs/plugins.md for each field. */
export type RuleInput = z.input<typeof RuleSchema>;
/** A rule with every default filled in. */
export type Rule = z.output<typeof RuleSchema> & { readonly name: string };

/**
 * Reads rules and refuses what could not work: unknown fields, rules that could never fire, templates that would give two objects one name, and
 * rules whose results would trigger a rule again.
 *
 * @param reserved Prefixes that elfin itself writes below: claims and quarantine.
 * @throws CONFIG_INVALID, its message naming the rule and the field.
 */
export function parseRules(input: unknown, reserved: readonly string[] = []): readonly Rule[] {
  const result = z.array(RuleSchema).min(1, 'at least one rule is needed').safeParse(input);
  if (!result.success) {
    const issue = result.error.issues[0]!;
    const [index, ...field] = issue.path;
    const where =
      index === undefined ? 'The rules are' : `Rule ${String(index)}${field.map((f) => `.${String(f)}`).join('')} is`;
    throw new ElfinError('CONFIG_INVALID', `${where} not valid: ${issue.message}.`);
  }
  const rules = result.data.map((rule, index) => ({ ...rule, name: rule.name ?? `rule ${index}` }));
  for (const rule of rules) {
    assertTemplate(rule.name, 'destination', rule.destination, DESTINATION_NEEDS);
    if (rule.alias !== undefined) {
      assertTemplate(rule.name, 'alias', rule.alias, ALIAS_NEEDS);
      if (rule.destination.startsWith(`${rule.alias}/`)) {
        const message = `${rule.name}: alias "${rule.alias}" is the folder of destination "${rule.destination}"; stores that keep objects as files cannot hold both. Use another prefix, for example latest/{key}.`;
        throw new ElfinError('CONFIG_INVALID', message);
      }
    }
  }
  assertRulesCanFire(rules);
  assertNoLoops(rules, reserved);
  return rules;
}

/**
 * Rules as an environment variable holds them.
 * @throws CONFIG_INVALID where `text` is missing or no JSON; what it says is checked by {@link parseRules}.
 */
export function rulesFromJson(text: string | undefined, variable: string): RuleInput[] {
  try {
    return JSON.parse(text ?? '') as RuleInput[];
  } catch (cause) {
    throw new ElfinError('CONFIG_INVALID', `${variable} must be a JSON array of rules; see docs/plugins.md.`, {
      cause,
    });
  }
}

/** Whether a rule wants an object of this name: bucket, prefix, suffix, exclusions. */
export function matchesName(rule: Rule, { bucket, key }: Pick<UploadEvent, 'bucket' | 'key'>): boolean {
  const lower = key.toLowerCase();
  return (
    (rule.bucket === undefined || rule.bucket === bucket) &&
    key.startsWith(rule.prefix) &&
    rule.suffix.some((suffix) => lower.endsWith(suffix.toLowerCase())) &&
    !rule.exclude.some((prefix) => key.startsWith(prefix))
  );
}

/** Whether a rule wants an object of this type. Size is not asked here: too large an object is an error, not a mismatch. */
export function matchesType(rule: Rule, type: string | undefined): boolean {
  if (rule.types === undefined) return true;
  const bare = type?.split(';')[0]?.trim().toLowerCase() ?? '';
  return rule.types.some((wanted) =>
    wanted.endsWith('/*') ? bare.startsWith(wanted.slice(0, -1).toLowerCase()) : bare === wanted.toLowerCase(),
  );
}
