import { expect, test } from 'vitest';
import { cacheControl, formatInfo } from './headers.ts';
import { acceptBucket, noneMatch, parsePrefer, resolveFormat, variant } from './negotiate.ts';

test.each([
  ['image/avif,image/webp,image/apng,*/*;q=0.8', 'avif'],
  ['image/webp,*/*', 'webp'],
  ['image/avif;q=0, image/webp', 'webp'],
  ['IMAGE/AVIF ; q=0.5', 'avif'],
  ['image/*,*/*;q=0.8', 'other'],
  ['text/html', 'other'],
  ['', 'other'],
  [null, 'other'],
])('Accept %j is folded into %s', (accept, bucket) => {
  expect(acceptBucket(accept)).toBe(bucket);
});

test('a variant is written in what the codec has', () => {
  const all = ['jpeg', 'png', 'webp', 'avif'] as const;
  const opaque = { hasAlpha: false };
  expect(resolveFormat(variant('auto', 'avif'), opaque, all)).toBe('avif');
  expect(resolveFormat(variant(undefined, 'avif'), opaque, ['jpeg', 'png', 'webp'])).toBe('webp');
  expect(resolveFormat(variant('auto', 'other'), opaque, all)).toBe('jpeg');
  expect(resolveFormat(variant('auto', 'other'), { hasAlpha: true }, all)).toBe('png');
  expect(resolveFormat(variant('jpeg', 'avif'), { hasAlpha: true }, all)).toBe('jpeg');
  expect(variant('json', 'avif')).toBe('other');
});

test('If-None-Match', () => {
  expect(['"k"', '*', 'W/"k"', '"a", W/"k"'].map((header) => noneMatch(header, '"k"'))).toEqual([
    true,
    true,
    true,
    true,
  ]);
  expect(noneMatch('"k"', 'W/"k"')).toBe(true);
  expect(['"a"', '', null, 'k'].map((header) => noneMatch(header, '"k"'))).toEqual([false, false, false, false]);
});

test('Prefer', () => {
  expect(parsePrefer('respond-async, wait=10')).toEqual({ async: true, wait: 10 });
  expect(parsePrefer('wait="5"; x=1')).toEqual({ async: false, wait: 5 });
  expect(parsePrefer('wait=soon, handling=lenient')).toEqual({ async: false });
  expect(parsePrefer(null)).toEqual({ async: false });
});

test('a result is never cached longer than its signature lives', () => {
  const now = 1_000_000_000_000;
  const exp = 1_000_000_000 + 100;
  expect(cacheControl({ pinned: true, ttl: 60 })).toBe('public, max-age=31536000, immutable');
  expect(cacheControl({ pinned: true, ttl: 60, exp, now })).toBe('public, max-age=100, immutable');
  expect(cacheControl({ pinned: false, ttl: 60 })).toBe('public, max-age=60, stale-while-revalidate=30');
  expect(cacheControl({ pinned: false, ttl: 90, exp, now })).toBe('public, max-age=90, stale-while-revalidate=10');
  expect(cacheControl({ pinned: false, ttl: 900, exp, now })).toBe('public, max-age=100');
  expect(cacheControl({ pinned: true, ttl: 60, exp: 1, now })).toBe('public, max-age=0, immutable');
});

test('Elfin-Info', () => {
  const side = { bytes: 10, width: 4, height: 3, format: 'jpeg' };
  expect(formatInfo({ input: side, output: { ...side, format: 'webp' } }, 'hit')).toBe(
    'ifsz=10 idim=4x3 ifmt=jpeg ofsz=10 odim=4x3 ofmt=webp rt=none cache=hit',
  );
});
