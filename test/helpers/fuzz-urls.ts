import { loadSharpCodec } from '@elfin/core/node';
import { createEdge, createSigner, createSources, formatTransform, parseTransform } from '@elfin/edge';
import { createMemoryStore } from '@elfin/storage';
import fc from 'fast-check';
import { anyOptions, anySource } from './transform-urls.ts';

/**
 * Throws paths and queries at an edge: random text, valid URLs with random damage, options and sources out of pieces that
 * mean something. Every answer must be a 4xx with a code (or a valid URL's own answer), without a stack. Then good URLs: each
 * verifies, and its unsigned twin, or one of another meaning under its signature, is 403.
 */
export async function fuzz({ cases, seed = 1 }: { readonly cases: number; readonly seed?: number }) {
  const codec = await loadSharpCodec();
  const keys = [{ id: 'k', secret: new Uint8Array(32).fill(1) }];
  const signer = createSigner({ keys });
  const edge = createEdge({
    keys,
    source: createSources({ allow: [], sources: {} }),
    store: createMemoryStore(),
    backends: [],
    codec,
  });
  const pieces = fc.constantFrom(
    '/',
    '//',
    '..',
    '%2e%2e',
    '%2f',
    '%5c',
    '\\',
    '%00',
    '%0d%0a',
    ',',
    '=',
    'width',
    'w=',
    '1e9',
    '-1',
    'restore=derain',
    'preset=',
    'b64:',
    'https:/',
    'https://',
    'http%3A%2F%2F127.0.0.1',
    's3://',
    '@',
    '#',
    '?',
    '&',
    'sig=',
    'exp=',
    'kid=k',
    '%ff',
    '%',
    '\u0000',
    '😀',
    '__proto__',
    'constructor',
    'i/',
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join('')),
  );
  const damaged = fc
    .tuple(anyOptions, anySource, fc.nat(), fc.nat(3), text)
    .map(([options, source, at, cut, insert]) => {
      const path = formatTransform({ options, source });
      const place = at % (path.length + 1);
      return path.slice(0, place) + insert + path.slice(place + cut);
    });
  const samples = fc.sample(fc.tuple(fc.oneof(text, damaged), fc.option(text, { nil: '' })), { numRuns: cases, seed });
  const statuses = new Map<number, number>();
  const bad: string[] = [];
  for (const [path, query] of samples) {
    const raw = `http://edge.example/i/${path}${query ? `?${query}` : ''}`;
    if (!URL.canParse(raw)) continue;
    const response = await edge.fetch(new Request(raw));
    const body = await response.text();
    statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
    const refused = response.status >= 400 && response.status < 500 && response.headers.has('elfin-error');
    if (!refused || /\bat .+\.(ts|js):\d+/.test(body)) bad.push(raw);
  }
  // The round trip once more, on as many URLs: what is formatted is read back, and its signature holds.
  for (const [options, source] of fc.sample(fc.tuple(anyOptions, anySource), {
    numRuns: Math.min(cases, 5000),
    seed,
  })) {
    const signed = new URL(await signer.sign({ options, source }), 'http://edge.example');
    const transform = parseTransform(signed.pathname.slice(3));
    await signer.verify(transform, Object.fromEntries(signed.searchParams));
    // Without its signature, and with it over another quality, the same URL is nobody's.
    const quality = options.quality === 7 ? 8 : 7;
    const other = await signer.sign({ options: { ...options, quality }, source });
    for (const twin of [signed.pathname, new URL(other, signed).pathname + signed.search]) {
      const { status } = await edge.fetch(new Request(new URL(twin, signed)));
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (status !== 403) bad.push(twin);
    }
  }
  return { cases: samples.length, statuses: Object.fromEntries(statuses), bad: bad.slice(0, 10) };
}
