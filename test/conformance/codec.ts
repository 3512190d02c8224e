import type { Codec, ElfinErrorCode, OutputFormat, PixelImage } from '@elfin/core';
import { describe, expect, it } from 'vitest';
import { AWKWARD, type Awkward } from '../fixtures/images/awkward.ts';
import { HOSTILE } from '../fixtures/images/hostile.ts';

/** What an implementation can do beyond the common core: the rest must hold for each of them. */
export interface Abilities {
  /** Leaves numbers and profile alone unless it is asked for sRGB; a canvas is sRGB. */
  readonly icc: boolean;
  /** Depth of what PNG and AVIF with more than 8 bits are decoded to. */
  readonly depth: 8 | 16;
  /** Formats that it decodes; files of others must be refused with IMAGE_UNSUPPORTED. */
  readonly decodes: readonly string[];
  /** Loses colour where alpha is low, as canvases do. */
  readonly premultiplies?: boolean;
  /** Hostile files that it decodes all the same, since it fills in what is missing. */
  readonly lenient?: readonly string[];
  /** Codes that differ from the list's for files whose fault only a decoder finds, or cannot decode at all. */
  readonly codes?: Readonly<Record<string, ElfinErrorCode>>;
}

const SIZE = { width: 48, height: 32 };
const QUARTERS = [
  { x: 12, y: 8, colour: [233, 29, 29] },
  { x: 36, y: 8, colour: [35, 239, 35] },
  { x: 12, y: 24, colour: [29, 29, 233] },
  { x: 36, y: 24, colour: [239, 239, 35] },
] as const;

function at({ width, channels, data }: PixelImage, x: number, y: number): number[] {
  const scale = data instanceof Uint16Array ? 257 : 1;
  return [...data.subarray((y * width + x) * channels, (y * width + x + 1) * channels)].map((value) => value / scale);
}

/** How far colours at the quarters' middles are off, at most. */
function distance(image: PixelImage): number {
  return Math.max(
    ...QUARTERS.flatMap(({ x, y, colour }) => {
      const found = at(image, x, y);
      // What is wholly transparent has no colour that anybody could see.
      if (found[3] === 0) return [0];
      return colour.map((value, c) => Math.abs(value - found[c]!));
    }),
  );
}

/** The same picture as pixels. */
function quarters(channels: 3 | 4, depth: 8 | 16): PixelImage {
  const length = SIZE.width * SIZE.height * channels;
  const data = depth === 16 ? new Uint16Array(length) : new Uint8Array(length);
  for (let i = 0; i < SIZE.width * SIZE.height; i++) {
    const [x, y] = [i % SIZE.width, Math.trunc(i / SIZE.width)];
    const { colour } = QUARTERS[(y < SIZE.height / 2 ? 0 : 2) + (x < SIZE.width / 2 ? 0 : 1)]!;
    for (let c = 0; c < 3; c++) data[i * channels + c] = colour[c]! * (depth === 16 ? 257 : 1) + (depth === 16 ? x : 0);
    if (channels === 4) data[i * channels + 3] = y * 8 * (depth === 16 ? 257 : 1);
  }
  return { ...SIZE, channels, data };
}

const refusal = (code: string) => expect.objectContaining({ code, message: expect.not.stringContaining('\n') });

/**
 * What every {@link Codec} must do, as one program for all of them and for every place where they run.
 * @param read gives the bytes of a file in test/fixtures/images.
 */
export function codecConformance(
  codec: Codec,
  can: Abilities,
  read: (file: string) => Promise<Uint8Array> | Uint8Array,
) {
  const decodable = AWKWARD.filter(({ file, header }) => can.decodes.includes(header.format) && !can.codes?.[file]);

  describe('decodes', () => {
    it.each(decodable.map((entry) => [entry.file, entry] as const))(
      '%s',
      async (file, { header, picture, tolerance }: Awkward) => {
        const image = await codec.decode(await read(file), { icc: 'srgb' });
        expect(image.header).toEqual(header);
        expect({ width: image.width, height: image.height }).toEqual({ width: header.width, height: header.height });
        expect(image.channels).toBe((header.grey ? 1 : 3) + (header.hasAlpha ? 1 : 0));
        expect(image.data instanceof Uint16Array).toBe(header.bitDepth === 16 && can.depth === 16);
        expect(image.data.length).toBe(image.width * image.height * image.channels);
        const lost = can.premultiplies && header.hasAlpha ? 2 : 0;
        if (picture === 'quarters') expect(distance(image)).toBeLessThanOrEqual(tolerance + lost);
      },
    );

    it('the rest not at all, and says so', async () => {
      for (const { file } of AWKWARD.filter((entry) => !decodable.includes(entry))) {
        await expect(codec.decode(await read(file))).rejects.toThrow(refusal('IMAGE_UNSUPPORTED'));
      }
    });

    it('alpha straight, where it is', async () => {
      for (const file of ['rgba.png', 'alpha.webp', 'alpha.avif'].filter((name) =>
        can.decodes.includes(name.split('.')[1] ?? ''),
      )) {
        const image = await codec.decode(await read(file));
        for (const y of [0, 15, 31]) expect(Math.abs(at(image, 20, y)[3]! - (255 * y) / 31)).toBeLessThanOrEqual(4);
      }
      expect(at(await codec.decode(await read('palette-trns.png')), 30, 4)[3]).toBe(128);
    });

    it('the first frame on request', async () => {
      const files = ['animated.png', 'animated.webp', 'animated.gif', 'pages.tiff'];
      for (const file of files.filter((name) => can.decodes.some((format) => file2format(name) === format))) {
        const image = await codec.decode(await read(file), { animated: 'first' });
        expect([image.width, image.height, image.header.frames]).toEqual([48, 32, 2]);
        expect(distance(image)).toBeLessThanOrEqual(6);
      }
    });

    it('nothing after an abort', async () => {
      const signal = AbortSignal.abort(new Error('enough'));
      await expect(codec.decode(await read('rgb.png'), { signal })).rejects.toThrow(refusal('ABORTED'));
      await expect(codec.encode(quarters(3, 8), { format: 'png', signal })).rejects.toThrow(refusal('ABORTED'));
    });

    it('within the caps only', async () => {
      const bytes = await read('rgb.png');
      await expect(codec.decode(bytes, { limits: { pixels: 1000 } })).rejects.toThrow(refusal('IMAGE_TOO_MANY_PIXELS'));
      await expect(codec.decode(bytes, { limits: { bytes: 100 } })).rejects.toThrow(refusal('IMAGE_TOO_MANY_BYTES'));
    });
  });

  describe('refuses', () => {
    const files = HOSTILE.filter(({ file }) => !can.lenient?.includes(file));
    // What it does not decode at all cannot be found damaged.
    const unread = (file: string) => file.endsWith('.heic') && !can.decodes.includes('heif');
    const wanted = (file: string, code: ElfinErrorCode) =>
      can.codes?.[file] ?? (unread(file) ? 'IMAGE_UNSUPPORTED' : code);
    it.each(files.map(({ file, code, why }) => [file, wanted(file, code), why] as const))(
      '%s: %s (%s)',
      async (file, code) => {
        const bytes = await read(file);
        await expect(codec.decode(bytes)).rejects.toThrow(refusal(code));
      },
    );
  });

  describe('encodes', () => {
    it.each(codec.formats)('%s, which it can read again', async (format) => {
      const bytes = await codec.encode(quarters(3, 8), { format, quality: 95 });
      expect(await codec.probe(bytes)).toMatchObject({ ...SIZE, format, bitDepth: 8, hasAlpha: false, orientation: 1 });
      if (can.decodes.includes(format))
        expect(distance(await codec.decode(bytes))).toBeLessThanOrEqual(format === 'png' ? 0 : 12);
    });

    it.each(codec.formats.filter((format) => format !== 'jpeg'))('alpha into %s', async (format) => {
      const source = quarters(4, 8);
      const bytes = await codec.encode(source, { format, quality: 95 });
      expect(await codec.probe(bytes)).toMatchObject({ ...SIZE, hasAlpha: true });
      if (can.decodes.includes(format)) {
        const image = await codec.decode(bytes);
        for (const y of [8, 24]) expect(Math.abs(at(image, 12, y)[3]! - y * 8)).toBeLessThanOrEqual(3);
      }
    });

    it('transparency over white into jpeg', async () => {
      const clear = { width: 8, height: 8, channels: 4, data: new Uint8Array(256) } as const;
      const image = await codec.decode(await codec.encode(clear, { format: 'jpeg' }));
      expect(Math.min(...image.data)).toBeGreaterThan(250);
    });

    it('16 bits: exactly where the format and the codec hold them, rounded elsewhere', async () => {
      const source = quarters(4, 16);
      for (const format of codec.formats) {
        const bytes = await codec.encode(source, { format });
        const exact = format === 'png' || format === 'tiff';
        expect((await codec.probe(bytes)).bitsPerSample).toBe(exact ? 16 : format === 'avif' ? 10 : 8);
        if (exact && can.depth === 16) expect((await codec.decode(bytes)).data).toEqual(source.data);
      }
    });

    it('smaller files at lower quality', async () => {
      const noise = Uint8Array.from({ length: 96 * 96 * 3 }, (_, i) => (i * i * 31 + i * 17) >> 3);
      for (const format of codec.formats.filter((name): name is OutputFormat => name !== 'png' && name !== 'tiff')) {
        const image = { width: 96, height: 96, channels: 3, data: noise } as const;
        const [low, high] = await Promise.all([20, 95].map((quality) => codec.encode(image, { format, quality })));
        expect(low!.length).toBeLessThan(high!.length);
      }
    });

    it('nothing that makes no sense', async () => {
      const image = quarters(3, 8);
      await expect(codec.encode(image, { format: 'gif' as 'png' })).rejects.toThrow(refusal('OPTION_INVALID'));
      await expect(codec.encode(image, { format: 'png', quality: 0 })).rejects.toThrow(refusal('OPTION_INVALID'));
      await expect(codec.encode({ ...image, width: 49 }, { format: 'png' })).rejects.toThrow(refusal('IMAGE_CORRUPT'));
      const long = { width: 70_000, height: 1, channels: 3, data: new Uint8Array(210_000) } as const;
      await expect(codec.encode(long, { format: 'jpeg' })).rejects.toThrow(refusal('OPTION_INVALID'));
    });
  });

  describe('metadata', () => {
    const text = (bytes: Uint8Array) => new TextDecoder('latin1').decode(bytes);

    it.each(codec.formats)('into %s: none by default, rights alone, or all but orientation', async (format) => {
      const { metadata, ...image } = await codec.decode(await read('metadata.jpg'));
      const write = (policy?: 'none' | 'copyright' | 'keep') =>
        codec.encode(image, { format, metadata, ...(policy && { policy }) }).then((bytes) => text(bytes));
      const [none, copyright, keep] = [await write(), await write('copyright'), await write('keep')];
      expect(none).not.toMatch(/Ada|Secret|example\.com|GPS/);
      expect(copyright).toContain('2026 Ada & Co');
      expect(copyright).toContain('<photoshop:Credit>Agency<');
      expect(copyright).toContain('https://example.com/terms?a=1&amp;b=2');
      expect(copyright).not.toMatch(/[Ss]ecret|GPS|Orientation/);
      expect(keep).toContain('Secretcam');
      expect(keep).toContain('GPSLatitude');
      expect(keep).not.toContain('Orientation');
    });

    it.each(codec.formats)('%s stays upright and readable when everything is kept', async (format) => {
      const source = await codec.decode(await read('orientation-6.jpg'));
      const bytes = await codec.encode(source, { format, metadata: source.metadata, policy: 'keep', quality: 95 });
      expect(await codec.probe(bytes)).toMatchObject({ ...SIZE, orientation: 1 });
      if (can.decodes.includes(format)) expect(distance(await codec.decode(bytes))).toBeLessThanOrEqual(12);
    });

    it.each(codec.formats)('the profile into %s', async (format) => {
      if (!can.icc) return;
      const source = await codec.decode(await read('adobe-rgb.jpg'));
      const converted = await codec.decode(await read('adobe-rgb.jpg'), { icc: 'srgb' });
      expect(converted.metadata.icc).toBeUndefined();
      // The numbers are those of sRGB, so that leaving them alone gives the plain picture.
      expect(distance(source)).toBeLessThanOrEqual(6);
      expect(distance(converted)).toBeGreaterThan(distance(source));
      const bytes = await codec.encode(source, { format, metadata: source.metadata, quality: 95 });
      const again = await codec.decode(bytes);
      expect(again.metadata.icc).toEqual(source.metadata.icc);
      expect(distance(again)).toBeLessThanOrEqual(12);
      expect(distance(await codec.decode(bytes, { icc: 'srgb' }))).toBeGreaterThan(distance(again) + 5);
    });
  });

  describe('resizes', () => {
    it.each([
      [8, 3],
      [8, 4],
      [16, 3],
      [16, 4],
    ] as const)('%i bits, %i channels, up and down', async (depth, channels) => {
      const source = quarters(channels, depth);
      for (const size of [
        { width: 24, height: 16 },
        { width: 96, height: 64 },
        { width: 1, height: 7 },
      ]) {
        const image = await codec.resize(source, size);
        expect(image).toMatchObject({ ...size, channels });
        expect(image.data.length).toBe(size.width * size.height * channels);
        expect(image.data instanceof Uint16Array).toBe(depth === 16);
        if (size.width === 1 || channels === 4) continue;
        for (const { x, y, colour } of QUARTERS) {
          const found = at(image, Math.trunc((x * size.width) / 48), Math.trunc((y * size.height) / 32));
          colour.forEach((value, c) => {
            expect(Math.abs(found[c]! - value)).toBeLessThanOrEqual(4);
          });
        }
      }
    });
  });
}

function file2format(name: string): string {
  return name.split('.')[1] ?? '';
}
