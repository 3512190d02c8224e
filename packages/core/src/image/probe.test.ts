import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AWKWARD } from '../../../../test/fixtures/images/awkward.ts';
import { HOSTILE } from '../../../../test/fixtures/images/hostile.ts';
import { readImage } from '../../../../test/fixtures/images/read.ts';
import { isElfinError } from '../base/errors.ts';
import { admitImage } from './admit.ts';
import { DEFAULT_LIMITS, type Header } from './codec.ts';
import { metadataBy } from './formats/format.ts';
import { checkBytes } from './limits.ts';
import { formatOf, probeImage } from './probe.ts';

/** The code of what is thrown; `undefined` when nothing is. Everything else than one of our errors fails the test. */
async function codeOf(work: () => unknown): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (!isElfinError(error)) throw error;
    expect(error.message).not.toContain('\n');
    return error.code;
  }
}

const admit = (bytes: Uint8Array, options?: Parameters<typeof admitImage>[2]) => admitImage(bytes, formatOf, options);

describe('headers, read without decoding', () => {
  it.each(AWKWARD.map(({ file, header }) => [file, header] as const))('%s', async (file, header) => {
    const bytes = readImage(file);
    expect(probeImage(bytes)).toEqual(header);
    expect(await admit(bytes)).toMatchObject({ header, format: formatOf(bytes) });
    expect(formatOf(bytes).complete(bytes)).toBe(true);
  });
});

describe('hostile files', () => {
  it.each(HOSTILE.map(({ file, code, found, why }) => [file, code, found, why] as const))(
    '%s: %s (%s: %s)',
    async (file, code, found) => {
      const bytes = readImage(file);
      expect(await codeOf(() => probeImage(bytes))).toBe(found === 'header' ? code : undefined);
      expect(await codeOf(() => admit(bytes))).toBe(found === 'decoder' ? undefined : code);
    },
  );
});

it('counts frames and lets the first pass on request', async () => {
  for (const file of ['animated.png', 'animated.webp', 'animated.gif', 'pages.tiff']) {
    const { header } = await admit(readImage(file), { animated: 'first' });
    expect(header).toMatchObject({ frames: 2, width: 48, height: 32 });
  }
});

it('caps bytes and pixels at exactly the limit', async () => {
  const bytes = readImage('rgb.png');
  expect(await codeOf(() => admit(bytes, { limits: { pixels: 48 * 32, bytes: bytes.length } }))).toBeUndefined();
  expect(await codeOf(() => admit(bytes, { limits: { pixels: 48 * 32 - 1 } }))).toBe('IMAGE_TOO_MANY_PIXELS');
  expect(await codeOf(() => admit(bytes, { limits: { bytes: bytes.length - 1 } }))).toBe('IMAGE_TOO_MANY_BYTES');
  expect(await codeOf(() => checkBytes(DEFAULT_LIMITS.bytes + 1, DEFAULT_LIMITS.bytes))).toBe('IMAGE_TOO_MANY_BYTES');
});

it('needs no more than the beginning of a file to tell its sides', () => {
  for (const { file, header } of AWKWARD) {
    if (['tiff', 'gif'].includes(header.format) || header.orientation > 1 || file === 'metadata.jpg') continue;
    const { width, height } = probeImage(readImage(file).subarray(0, 1200));
    expect({ width, height }).toEqual({ width: header.width, height: header.height });
  }
});

describe('damaged files', () => {
  const files = [...AWKWARD, ...HOSTILE].map(({ file }) => readImage(file)).filter((bytes) => bytes.length > 0);
  const damage = fc.record({
    file: fc.constantFrom(...files),
    cut: fc.double({ min: 0, max: 1, noNaN: true }),
    edits: fc.array(fc.tuple(fc.double({ min: 0, max: 0.999, noNaN: true }), fc.integer({ min: 0, max: 255 })), {
      maxLength: 8,
    }),
  });

  it('give a sound header or one of the image codes, never anything else, and their metadata is at most absent', async () => {
    await fc.assert(
      fc.asyncProperty(damage, async ({ file, cut, edits }) => {
        const bytes = file.slice(0, Math.max(1, Math.round(file.length * (0.2 + cut))));
        for (const [at, value] of edits) bytes[Math.trunc(at * bytes.length)] = value;
        let header: Header | undefined;
        const code = await codeOf(() => {
          header = probeImage(bytes);
        });
        if (!header) {
          expect(code).toMatch(/^IMAGE_(EMPTY|TRUNCATED|CORRUPT|UNSUPPORTED)$/);
          return;
        }
        expect(header.width * header.height).toBeGreaterThan(0);
        expect([header.width, header.height, header.frames, header.orientation].every(Number.isSafeInteger)).toBe(true);
        expect(header.orientation).toBeGreaterThanOrEqual(1);
        expect(header.orientation).toBeLessThanOrEqual(8);
        await codeOf(() => admit(bytes));
        metadataBy(formatOf(bytes), bytes);
      }),
      { numRuns: 3000 },
    );
  });

  it('noise behind any signature', async () => {
    const signatures = [
      '\xff\xd8\xff',
      '\x89PNG\r\n\x1a\n',
      'RIFF\xff\xff\0\0WEBPVP8X',
      'GIF89a',
      'II*\0',
      'MM\0+',
      '\0\0\0\x18ftypavif',
    ];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...signatures), fc.uint8Array({ maxLength: 200 }), async (signature, noise) => {
        const bytes = Uint8Array.from([...Buffer.from(signature, 'latin1'), ...noise]);
        await codeOf(() => admit(bytes));
      }),
      { numRuns: 3000 },
    );
  });
});
