import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyOptions, anySource } from '../../../../test/helpers/transform-urls.ts';
import { OPTION_NAMES, OPTIONS, type OptionSpec } from './options.ts';
import { formatOptions, formatTransform, parseOptions, parseTransform } from './parse.ts';

const code = (code: string) => expect.objectContaining({ code });

describe('transform URLs', () => {
  test('parse ∘ format = id', () => {
    fc.assert(
      fc.property(anyOptions, anySource, (options, source) => {
        const transform = { options, source };
        expect(parseTransform(formatTransform(transform))).toEqual(transform);
      }),
    );
  });

  test('format ∘ parse is canonical: order, aliases, b64 and raw spellings all mean the same', () => {
    const canonical = 'restore=derain,width=1200,format=auto/https%3A%2F%2Forigin.example%2Frain.jpg';
    const b64 = btoa('https://origin.example/rain.jpg').replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
    for (const spelling of [
      canonical,
      'format=auto,w=1200,restore=derain/https%3A%2F%2Forigin.example%2Frain.jpg',
      'f=auto%2Crestore=derain,w=1200/https%3a%2f%2fORIGIN.example:443%2f.%2frain.jpg',
      'restore=derain,width=1200,format=auto/https://origin.example/rain.jpg',
      'restore=derain,width=1200,format=auto/https:/origin.example/rain.jpg',
      `restore=derain,width=01200,format=auto/b64:${b64}`,
    ]) {
      expect(formatTransform(parseTransform(spelling))).toBe(canonical);
    }
  });

  test('canonical options follow the table, whatever order they came in', () => {
    fc.assert(
      fc.property(anyOptions, fc.infiniteStream(fc.nat()), (options, order) => {
        const parts = formatOptions(options).split(',');
        const shuffled = parts
          .map((part) => [order.next().value as number, part] as const)
          .sort(([a], [b]) => a - b)
          .map(([, part]) => part);
        expect(formatOptions(parseOptions(shuffled.join(',')))).toBe(parts.join(','));
      }),
    );
  });

  test('each row’s example parses, and its documented default is one of its values', () => {
    for (const name of OPTION_NAMES) {
      const spec: OptionSpec = OPTIONS[name];
      expect(parseOptions(`${name}=${spec.example}`), name).toHaveProperty(name);
      if (spec.default !== undefined)
        expect(parseOptions(`${name}=${spec.default}`)).toHaveProperty(name, spec.default);
    }
  });

  test.each([
    'width=0',
    'width=8193',
    'width=1e3',
    'width=1.5',
    'width=-1',
    'width= 1',
    'width=',
    'width',
    'w=1,width=1',
    'strength=1.01',
    'strength=.5',
    'strength=0.1234',
    'strenght=0.5',
    'strength=NaN',
    'restore=DERAIN',
    'restore=constructor',
    'preset=../x',
    'preset=',
    'colour=red',
    '__proto__=1',
    'toString=1',
    '',
    ',',
    'width=1,',
  ])('option segment %j is refused', (segment) => {
    expect(() => parseOptions(segment)).toThrow(code('OPTION_INVALID'));
  });

  test.each([
    ['nothing', ''],
    ['no source', 'width=1'],
    ['empty source', 'width=1/'],
    ['bad escape', 'width=1/%ZZ'],
    ['bad UTF-8', 'width=1/%ff'],
    ['two segments', 'width=1/a/b.jpg'],
    ['bad b64', 'width=1/b64:a+b'],
    ['b64 of bad UTF-8', 'width=1/b64:_w'],
    ['fragment', 'width=1/https%3A%2F%2Fa.example%2F%23x'],
    ['userinfo', 'width=1/https%3A%2F%2Fgood.example%40evil.example%2F'],
    ['empty userinfo', 'width=1/https%3A%2F%2F%40evil.example%2F'],
    ['backslash', 'width=1/https%3A%2F%2Fgood.example%5C%40evil.example%2F'],
    ['newline', 'width=1/a%0Ab'],
    ['tab', 'width=1/https%3A%2F%2Fev%09il.example%2F'],
    ['no slashes', 'width=1/https%3Aevil.example'],
    ['three slashes', 'width=1/https%3A%2F%2F%2Fevil.example'],
    ['other scheme', 'width=1/file%3A%2F%2F%2Fetc%2Fpasswd'],
    ['data', 'width=1/data%3Aimage%2Fpng,x'],
    ['traversal', 'width=1/..%2F..%2Fetc%2Fpasswd'],
    ['another host without a scheme', 'width=1/%2F%2Fevil.example%2Fa'],
    ['absolute traversal', 'width=1/%2F..%2Fetc%2Fpasswd'],
    ['s3 without key', 'width=1/s3%3A%2F%2Fbucket'],
    ['s3 traversal', 'width=1/s3%3A%2F%2Fbucket%2F..%2Fother%2Fkey'],
    ['port', 'width=1/https%3A%2F%2Fa.example%3A99999%2F'],
  ])('%s is URL_INVALID', (_, path) => {
    expect(() => parseTransform(path)).toThrow(code('URL_INVALID'));
  });

  test('a path beyond the cap is refused before anything is parsed', () => {
    expect(() => parseTransform(`width=1/${'a'.repeat(9000)}`)).toThrow(code('URL_TOO_LONG'));
  });
});
