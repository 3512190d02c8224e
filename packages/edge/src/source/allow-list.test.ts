import { expect, test } from 'vitest';
import { createAllowList } from './allow-list.ts';
import { parseSource } from './name.ts';

const allows = (pattern: string, source: string) => createAllowList([pattern])(parseSource(source));

test.each([
  ['https://origin.example', 'https://origin.example/a.jpg'],
  ['https://origin.example', 'https://ORIGIN.example:443/a.jpg?v=2'],
  ['https://*.example.com', 'https://img.eu.example.com/a'],
  ['http://origin.example:8080/photos', 'http://origin.example:8080/photos/a.jpg'],
  ['https://bücher.example', 'https://xn--bcher-kva.example/a'],
  ['https://127.0.0.1:8443', 'https://0x7f.1:8443/a'],
  ['s3://bucket', 's3://bucket/a/b'],
  ['r2://PHOTOS/public', 'r2://PHOTOS/public/a'],
])('%s allows %s', (pattern, source) => {
  expect(allows(pattern, source)).toBe(true);
});

test.each([
  ['https://origin.example', 'http://origin.example/a.jpg'],
  ['https://origin.example', 'https://origin.example:8443/a.jpg'],
  ['https://origin.example', 'https://origin.example.evil.example/a.jpg'],
  ['https://origin.example', 'https://origin.example./a.jpg'],
  ['https://origin.example', 'https://sub.origin.example/a.jpg'],
  ['https://*.example.com', 'https://example.com/a'],
  ['https://*.example.com', 'https://evilexample.com/a'],
  ['https://origin.example/photos', 'https://origin.example/photos2/a'],
  ['https://origin.example/photos', 'https://origin.example/photos/../secret'],
  ['https://origin.example/photos', 'https://origin.example/photos/%2e%2e/secret'],
  ['https://origin.example/photos', 'https://origin.example/photos/..%2fsecret'],
  ['https://origin.example/photos', 'https://origin.example/photos/..%5Csecret'],
  ['s3://bucket/public', 's3://bucket/public-not/a'],
  ['s3://bucket', 'r2://bucket/a'],
  ['s3://bucket', 's3://bucket2/a'],
  ['https://origin.example', 'photos/a.jpg'],
])('%s does not allow %s', (pattern, source) => {
  expect(allows(pattern, source)).toBe(false);
});

test.each([
  'https://*',
  'https://*.',
  'https://a.*.example',
  'https://u:p@a.example',
  'https://a.example?x',
  'ftp://a',
  'a.example',
  's3://',
  '*',
])('the pattern %j is refused at start', (pattern) => {
  expect(() => createAllowList([pattern])).toThrow();
});

test('an empty list allows nothing', () => {
  expect(createAllowList([])(parseSource('https://origin.example/'))).toBe(false);
});
