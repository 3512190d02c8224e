import { expect, test } from 'vitest';
import { parsePurge } from '../result/purge.ts';
import { createNextLoader, createUnpicTransformer, signedSrcset } from './loaders.ts';
import { parseTransform } from './parse.ts';
import { createSigner } from './sign.ts';
import { createUnsignedGate } from './unsigned.ts';

const widths = [640, 320];
const rules = createUnsignedGate({ presets: ['hero'], widths, sources: ['https://origin.example', 'photos/*'] });
const read = (url: string) => parseTransform(new URL(url, 'https://img.example.com').pathname.slice('/i/'.length));

test('what loaders make is what the unsigned rules let in', () => {
  const options = { base: 'https://img.example.com', preset: 'hero', widths };
  const next = createNextLoader(options);
  expect(next({ src: 'https://origin.example/a b.jpg'.replace(' ', '%20'), width: 400, quality: 75 })).toBe(
    'https://img.example.com/i/preset=hero,width=640/https%3A%2F%2Forigin.example%2Fa%2520b.jpg',
  );
  const unpic = createUnpicTransformer(options);
  const urls = [
    next({ src: 'photos/a.jpg', width: 5000 }),
    unpic(new URL('https://origin.example/a.jpg'), { width: '100' }),
    unpic('photos/a.jpg'),
  ];
  expect(urls.map((url) => rules(read(url)))).toEqual([true, true, true]);
  expect(urls.map((url) => read(url).options.width)).toEqual([640, 320, undefined]);
});

test('a signed srcset verifies, width by width', async () => {
  const signer = createSigner({ keys: [{ id: 'k', secret: new Uint8Array(32).fill(1) }] });
  const srcset = await signedSrcset(signer, {
    source: 'https://origin.example/a.jpg',
    options: { restore: 'derain' },
    widths,
    sign: { ttl: 60 },
  });
  const entries = srcset.split(', ').map((entry) => entry.split(' ') as [string, string]);
  expect(entries.map(([, width]) => width)).toEqual(['640w', '320w']);
  for (const [url] of entries) {
    const { searchParams } = new URL(url, 'https://img.example.com');
    await expect(signer.verify(read(url), Object.fromEntries(searchParams))).resolves.toMatchObject({ kid: 'k' });
  }
});

test.each([
  [
    'https://img.example.com/i/restore=derain/https%3A%2F%2Forigin.example%2Fa.jpg?sig=x',
    { source: 'https://origin.example/a.jpg' },
  ],
  ['/i/restore=derain/photos%2Fa.jpg', { source: 'photos/a.jpg' }],
  ['https://origin.example/a.jpg', { source: 'https://origin.example/a.jpg' }],
  ['https://origin.example/i/a.jpg', { source: 'https://origin.example/i/a.jpg' }],
  ['https://origin.example/photos/*', { sourcePrefix: 'https://origin.example/photos/' }],
  ['s3://bucket/a.jpg', { source: 's3://bucket/a.jpg' }],
])('purge %s', (what, expected) => {
  expect(parsePurge(what)).toEqual(expected);
});
