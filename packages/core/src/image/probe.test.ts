import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AWKWARD } from '../../../../test/fixtures/images/awkward.ts';
import { HOSTILE } from '../../../../test/fixtures/images/hostile.ts';
import { readImage } from '../../../../test/fixtures/images/read.ts';
import { isElfinError } from '../errors.ts';
import { admitImage } from './admit.ts';
import { DEFAULT_LIMITS, type Header } from './codec.ts';
import { checkBytes } from './limits.ts';
import { isComplete, probeImage, readMetadata } from './probe.ts';

/** The code of what is thrown; `undefined` when nothing is. Everything else than one of our errors fails the test. */
function codeOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (!isElfinError(error)) throw error;
    expect(error.message).not.toContain('\n');
    return error.code;
  }
}

describe('headers, read without decoding', () => {
  it.each(AWKWARD.map(({ file, header }) => [file, header] as const))('%s', (file, header) => {
    const bytes = readImage(file);
    expect(probeImage(bytes)).toEqual(header);
    expect(admitImage(bytes)).toEqual(header);
    expect(isComplete(bytes, header.format)).toBe(true);
  });
});

describe('hostile files', () => {
  it.each(HOSTILE.map(({ file, code, found, why }) => [file, code, found, why] as const))(
    '%s: %s (%s: %s)',
    (file, code, found) => {
      const bytes = readImage(file);
      expect(codeOf(() => probeImage(bytes))).toBe(found === 'header' ? code : undefined);
      expect(codeOf(() => admitImage(bytes))).toBe(found === 'decoder' ? undefined : code);
    },
  );
});

it('counts frames and lets the first pass on request', () => {
  for (const file of ['animated.png', 'animated.webp', 'animated.gif', 'pages.tiff']) {
    expect(admitImage(readImage(file), { animated: 'first' })).toMatchObject({ frames: 2, width: 48, height: 32 });
  }
});

it('caps bytes and pixels at exactly the limit', () => {
  const bytes = readImage('rgb.png');
  expect(codeOf(() => admitImage(bytes, { limits: { pixels: 48 * 32, bytes: bytes.length } }))).toBeUndefined();
  expect(codeOf(() => admitImage(bytes, { limits: { pixels: 48 * 32 - 1 } }))).toBe('IMAGE_TOO_MANY_PIXELS');
  expect(codeOf(() => admitImage(bytes, { limits: { bytes: bytes.length - 1 } }))).toBe('IMAGE_TOO_MANY_BYTES');
  expect(codeOf(() => checkBytes(DEFAULT_LIMITS.bytes + 1, DEFAULT_LIMITS.bytes))).toBe('IMAGE_TOO_MANY_BYTES');
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

  it('give a sound header or one of the image codes, never anything else, and their metadata is at most absent', () => {
    fc.assert(
      fc.property(damage, ({ file, cut, edits }) => {
        const bytes = file.slice(0, Math.max(1, Math.round(file.length * (0.2 + cut))));
        for (const [at, value] of edits) bytes[Math.trunc(at * bytes.length)] = value;
        let header: Header | undefined;
        const code = codeOf(() => {
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
        codeOf(() => admitImage(bytes));
        readMetadata(bytes, header.format);
      }),
      { numRuns: 3000 },
    );
  });

  it('noise behind any signature', () => {
    const signatures = [
      '\xff\xd8\xff',
      '\x89PNG\r\n\x1a\n',
      'RIFF\xff\xff\0\0WEBPVP8X',
      'GIF89a',
      'II*\0',
      'MM\0+',
      '\0\0\0\x18ftypavif',
    ];
    fc.assert(
      fc.property(fc.constantFrom(...signatures), fc.uint8Array({ maxLength: 200 }), (signature, noise) => {
        const bytes = Uint8Array.from([...Buffer.from(signature, 'latin1'), ...noise]);
        codeOf(() => admitImage(bytes));
      }),
      { numRuns: 3000 },
    );
  });
});
