import { OPTION_NAMES, OPTIONS, type OptionSpec, type Options } from '@elfin/edge';
import fc from 'fast-check';

function anyValue(spec: OptionSpec): fc.Arbitrary<string | number> {
  switch (spec.kind) {
    case 'choice':
      return fc.constantFrom(...spec.values);
    case 'integer':
      return fc.oneof(
        fc.integer({ min: spec.min, max: spec.max }),
        ...(spec.words ?? []).map((word) => fc.constant(word)),
      );
    case 'decimal':
      return fc.integer({ min: Math.ceil(spec.min * 100), max: spec.max * 100 }).map((hundredths) => hundredths / 100);
    case 'name':
      return fc.stringMatching(/^[a-z0-9]([a-z0-9_-]{0,20}[a-z0-9])?$/);
  }
}

/** Any set of at least one option, derived from the table: a new row is tested without a new test. */
export const anyOptions: fc.Arbitrary<Options> = fc
  .record(Object.fromEntries(OPTION_NAMES.map((name) => [name, anyValue(OPTIONS[name])])), { requiredKeys: [] })
  .filter((options) => Object.keys(options).length > 0) as fc.Arbitrary<Options>;

const segment = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
  .filter((text) => !/[\\\s:?#/%\p{C}\u007f-\u009f\u2028\u2029\ufeff]/u.test(text) && text !== '.' && text !== '..');
const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));

/** Any source that a URL can name, in canonical spelling. */
export const anySource: fc.Arbitrary<string> = fc.oneof(
  path,
  fc
    .tuple(fc.constantFrom('s3', 'r2'), fc.stringMatching(/^[a-z0-9]{3,20}$/), path)
    .map(([s, b, k]) => `${s}://${b}/${k}`),
  fc.webUrl({ withQueryParameters: true }).map((url) => new URL(url).href),
);
