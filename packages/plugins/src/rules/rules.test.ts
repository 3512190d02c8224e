import { isElfinError } from '@elfin/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchesName, matchesType, parseRules, type RuleInput } from './rules.ts';
import { EXTENSIONS, expand } from './template.ts';

const base: RuleInput = { prefix: 'incoming/', task: 'derain' };
const refusal = (input: unknown, reserved: readonly string[] = []): string => {
  try {
    parseRules(input, reserved);
  } catch (error) {
    if (isElfinError(error) && error.code === 'CONFIG_INVALID') return error.message;
    throw error;
  }
  throw new Error('The rules were not refused.');
};

describe('rules that could never fire', () => {
  it.each([
    ['minBytes 20 is above its maxBytes 10', [{ ...base, minBytes: 20, maxBytes: 10 }]],
    ['suffixes is empty', [{ ...base, suffix: [] }]],
    ['types is empty', [{ ...base, types: [] }]],
    ['holds all of its prefix', [{ ...base, exclude: ['in'] }]],
    ['rule 0 comes before it', [base, { ...base, prefix: 'incoming/vip/' }]],
    [
      'rule 0 comes before it',
      [
        { ...base, types: ['image/png', 'image/jpeg'] },
        { ...base, types: 'image/png' },
      ],
    ],
  ] as const)('%s', (reason, rules) => {
    expect(refusal(rules)).toContain(reason);
  });

  it('and none that could', () => {
    const rules = [
      { ...base, prefix: 'incoming/vip/' },
      { ...base, types: 'image/png' },
      { ...base, suffix: '.jpg', exclude: ['incoming/old/'] },
      { ...base, prefix: 'incoming/old/' },
      base,
    ];
    expect(parseRules(rules)).toHaveLength(5);
  });
});

describe('rules', () => {
  it('fill in what is not said', () => {
    expect(parseRules([base])[0]).toMatchObject({
      name: 'rule 0',
      model: 'lw',
      format: 'auto',
      destination: 'restored/{key}/{digest8}.{ext}',
    });
  });

  it.each([
    ['Rule 0.task', [{ prefix: 'a/', task: 'sharpen' }]],
    ['Rule 0', [{ ...base, sufix: '.jpg' }]],
    ['at least one', []],
    ['The rules are', 'all of them'],
    ['{nothing}', [{ ...base, destination: 'out/{key}/{digest8}{nothing}' }]],
    ['brace', [{ ...base, destination: 'out/{key}/{digest8}}' }]],
    ['{digest8}', [{ ...base, destination: 'out/{key}' }]],
    ['{key}', [{ ...base, destination: 'out/{name}.{digest8}' }]],
    ['digest', [{ ...base, alias: 'out/{key}/{digest8}' }]],
    ['..', [{ ...base, destination: '../{key}/{digest8}' }]],
    ['{dir} with {name}', [{ ...base, alias: 'latest/{dir}/{stem}.{ext}' }]],
    ['latest/{key}', [{ ...base, alias: 'restored/{key}' }]],
  ])('are refused with a word about %s', (word, input) => {
    expect(refusal(input)).toContain(word);
  });

  it('match by bucket, prefix, suffix and exclusion', () => {
    const [rule] = parseRules([{ ...base, bucket: 'photos', exclude: 'incoming/raw/' }]);
    const at = (key: string, bucket = 'photos') => matchesName(rule!, { bucket, key });
    expect([
      at('incoming/A.JPG'),
      at('incoming/raw/a.jpg'),
      at('a.jpg'),
      at('incoming/a.txt'),
      at('incoming/a.jpg', 'x'),
    ]).toEqual([true, false, false, false, false]);
    const [typed] = parseRules([{ ...base, types: ['image/*', 'application/octet-stream'] }]);
    expect(
      ['image/PNG; q=1', 'application/octet-stream', 'text/html', undefined].map((type) => matchesType(typed!, type)),
    ).toEqual([true, true, false, false]);
  });
});

describe('loops', () => {
  it.each([
    ['the whole bucket, results inside it', [{ task: 'derain' }]],
    ['a prefix that holds the results', [{ prefix: 'restored/', task: 'derain' }]],
    ['results above the prefix', [{ prefix: 'a/b/', destination: 'a/{key}/{digest8}.{ext}', task: 'derain' }]],
    ['an alias', [{ ...base, destination: 'out/{key}/{digest8}.{ext}', alias: 'incoming/new/{key}' }]],
    [
      'two rules feeding each other',
      [
        { prefix: 'a/', destination: 'b/{key}/{digest8}.{ext}', task: 'derain' },
        { prefix: 'b/', destination: 'a/{key}/{digest8}.{ext}', task: 'derain' },
      ],
    ],
    ['another bucket that the rule does not exclude', [{ destinationBucket: 'out', task: 'derain' }]],
  ])('are refused: %s', (_, input) => {
    expect(refusal(input)).toContain('could loop');
  });

  it.each([
    ['an exclusion', [{ exclude: 'restored/', task: 'derain' }]],
    ['another bucket', [{ bucket: 'in', destinationBucket: 'out', task: 'derain' }]],
    ['another suffix', [{ suffix: '.jpg', format: 'webp', destination: '{key}.{digest8}.{ext}', task: 'derain' }]],
  ])('are ruled out by %s', (_, input) => {
    expect(parseRules(input)).toHaveLength(1);
  });

  it('are refused through claims and quarantine, too', () => {
    expect(refusal([{ suffix: '.json', exclude: 'restored/', task: 'derain' }], ['.elfin/'])).toContain('.elfin/');
  });

  it('cannot be: what an accepted rule writes, no rule wants', () => {
    const part = fc.constantFrom('', 'a/', 'b/', 'a/b/', 'restored/');
    const rule = fc.record({
      prefix: part,
      suffix: fc.constantFrom('.jpg', '.png', '', '.webp'),
      format: fc.constantFrom('auto' as const, 'webp' as const, 'jpeg' as const),
      exclude: fc.array(
        part.filter((p) => p !== ''),
        { maxLength: 2 },
      ),
      destination: fc
        .tuple(part, fc.constantFrom('{key}/{digest8}.{ext}', '{dir}/{stem}-{digest8}.{ext}', '{digest}'))
        .map((p) => p.join('')),
      task: fc.constant('derain' as const),
    });
    const keys = fc
      .tuple(part, fc.constantFrom('x', 'a', 'a/x', 'b/a/x'), fc.constantFrom('.jpg', '.png', '.webp', ''))
      .map((p) => p.join(''));
    let accepted = 0;
    fc.assert(
      fc.property(
        fc.array(rule, { minLength: 1, maxLength: 2 }),
        fc.array(keys, { maxLength: 6 }),
        (input, sources) => {
          let rules: ReturnType<typeof parseRules>;
          try {
            rules = parseRules(input);
          } catch {
            return;
          }
          accepted++;
          for (const key of sources) {
            for (const writer of rules.filter((candidate) => matchesName(candidate, { bucket: 'p', key }))) {
              for (const ext of Object.values(EXTENSIONS).filter(
                (e) => writer.format === 'auto' || EXTENSIONS[writer.format] === e,
              )) {
                const written = expand(writer.destination, { key, digest: 'd'.repeat(64), ext, task: 'derain' });
                expect(rules.filter((reader) => matchesName(reader, { bucket: 'p', key: written }))).toEqual([]);
              }
            }
          }
        },
      ),
      { numRuns: 2000 },
    );
    expect(accepted).toBeGreaterThan(100);
  });
});

describe('expansion', () => {
  it('gives each part of a key', () => {
    const values = { key: 'a/b/c.tar.jpg', digest: '0123456789abcdef'.repeat(4), ext: 'webp', task: 'derain' };
    expect(expand('{dir}|{name}|{stem}|{digest8}|{ext}|{task}', values)).toBe(
      'a/b|c.tar.jpg|c.tar|01234567|webp|derain',
    );
    expect(expand('{dir}/{name}', { ...values, key: 'top.jpg' })).toBe('top.jpg');
  });

  it('never leaves the place of its template', () => {
    const awkward = fc.array(fc.constantFrom('..', '.', '', 'a', 'ü', '%2e%2e', '\\', '..\\', ' ', '\0', '\ud800'), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(awkward, fc.constantFrom('/', '\\', ''), (parts, glue) => {
        const key = parts.join(glue);
        try {
          const out = expand('restored/{key}/x', { key, digest: 'd'.repeat(64), ext: 'jpg', task: 'derain' });
          expect(new URL(`http://h/${out.replaceAll('\\', '/').replaceAll('%', '%25')}`).pathname).toMatch(
            /^\/restored\//,
          );
        } catch (error) {
          if (!isElfinError(error)) throw error;
          expect(error.code).toBe('KEY_UNSAFE');
        }
      }),
    );
  });
});
