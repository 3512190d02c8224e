import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AWKWARD } from '../../../../test/fixtures/images/awkward.ts';
import { HOSTILE } from '../../../../test/fixtures/images/hostile.ts';
import { readImage } from '../../../../test/fixtures/images/read.ts';
import { cropPixels } from '../../../../test/helpers/crop-pixels.ts';
import { createSharpCodec } from './codecs/sharp.ts';
import { bitDepth } from './pixels.ts';
import { createFileSink, decodeToFile } from './raw-file.ts';

const codec = createSharpCodec();
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'elfin-test-'));
});

afterEach(async () => {
  // Whatever a test did, nothing may be left.
  expect(await readdir(directory)).toEqual([]);
  await rm(directory, { recursive: true });
});

describe('decodeToFile', () => {
  it.each(AWKWARD.map(({ file }) => file))('%s reads as it decodes in memory, whole and in part', async (file) => {
    const bytes = readImage(file);
    const { header, metadata, warnings, ...image } = await codec.decode(bytes);
    await using source = await decodeToFile(bytes, { directory });
    const { width, height } = image;
    const { channels } = image;
    expect(source).toMatchObject({ width, height, channels, header, metadata, warnings, bitDepth: bitDepth(image) });
    expect(await source.read(0, 0, width, height)).toEqual(image.data);
    if (width === 1) return;
    const part = cropPixels(image, { x: 5, y: 3, width: 17, height: 23 });
    expect(await source.read(5, 3, 17, 23)).toEqual(part.data);
  });

  it.each(HOSTILE.map(({ file, code }) => [file, code] as const))(
    'refuses %s with %s and leaves nothing',
    async (file, code) => {
      await expect(decodeToFile(readImage(file), { directory })).rejects.toThrow(expect.objectContaining({ code }));
    },
  );

  it('reads several rectangles at once and none outside', async () => {
    await using source = await decodeToFile(readImage('orientation-6.jpg'), { directory });
    const whole = await source.read(0, 0, 48, 32);
    const rows = await Promise.all(Array.from({ length: 32 }, (_, y) => source.read(0, y, 48, 1)));
    expect(Buffer.concat(rows as Uint8Array[])).toEqual(Buffer.from(whole as Uint8Array));
    await expect(source.read(40, 0, 9, 1)).rejects.toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
  });

  it('ends with abort and disposal', async () => {
    const signal = AbortSignal.abort();
    const bytes = readImage('rgb.jpg');
    await expect(decodeToFile(bytes, { directory, signal })).rejects.toThrow(
      expect.objectContaining({ code: 'ABORTED' }),
    );
    const late = new AbortController();
    const decoding = decodeToFile(bytes, { directory, signal: late.signal });
    late.abort();
    await expect(decoding).rejects.toThrow(expect.objectContaining({ code: 'ABORTED' }));
    const source = await decodeToFile(bytes, { directory });
    await expect(source.read(0, 0, 1, 1, signal)).rejects.toThrow(expect.objectContaining({ code: 'ABORTED' }));
    await source.dispose();
    await source.dispose();
    await expect(source.read(0, 0, 1, 1)).rejects.toThrow(expect.objectContaining({ code: 'DISPOSED' }));
  });

  it('says so when the folder cannot be used', async () => {
    const code = 'OUTPUT_UNWRITABLE';
    await expect(decodeToFile(readImage('rgb.jpg'), { directory: join(directory, 'none') })).rejects.toThrow(
      expect.objectContaining({ code, message: expect.stringContaining('TMPDIR') }),
    );
  });
});

describe('createFileSink', () => {
  it.each([
    ['rgb.png', 'png'],
    ['rgba.png', 'png'],
    ['rgb16.png', 'png'],
    ['rgba16.png', 'tiff'],
    ['rgb16.tiff', 'tiff'],
    ['rgba.png', 'jpeg'],
    ['rgb16.png', 'jpeg'],
    ['rgba.png', 'webp'],
    ['rgb.png', 'avif'],
    ['grey-alpha.png', 'png'],
    ['grey16.png', 'tiff'],
    ['grey.jpg', 'jpeg'],
    ['grey16.png', 'avif'],
  ] as const)('%s written row by row and encoded as %s equals the codec', async (file, format) => {
    const image = await codec.decode(readImage(file));
    await using source = await decodeToFile(readImage(file), { directory });
    await using sink = await createFileSink(source, { directory });
    for (let y = 0; y < 32; y += 8) await sink.write(0, y, 48, 8, await source.read(0, y, 48, 8));
    const written = await codec.decode(await sink.encode({ format }));
    const expected = await codec.decode(await codec.encode(image, { format }));
    expect(written.header).toEqual(expected.header);
    const worst = Math.max(...Array.from(written.data, (value, i) => Math.abs(value - expected.data[i]!)));
    // Rounding from 16 to 8 bits and laying over white differ by a step, which quantisation multiplies.
    expect(worst).toBeLessThanOrEqual(format === 'png' || format === 'tiff' ? 0 : 8);
  });

  it('takes rectangles in any order, wants all of them, and writes metadata', async () => {
    await using source = await decodeToFile(readImage('metadata.jpg'), { directory });
    await using sink = await createFileSink(source, { directory });
    await sink.write(24, 0, 24, 32, await source.read(24, 0, 24, 32));
    await expect(sink.encode({ format: 'png' })).rejects.toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
    await sink.write(0, 0, 24, 32, await source.read(0, 0, 24, 32));
    const bytes = await sink.encode({ format: 'png', metadata: source.metadata, policy: 'copyright' });
    expect(Buffer.from(bytes).toString('latin1')).toContain('2026 Ada');
    expect((await codec.decode(bytes)).data).toEqual(await source.read(0, 0, 48, 32));
    await expect(sink.write(0, 0, 1, 1, new Uint8Array(4))).rejects.toThrow(
      expect.objectContaining({ code: 'OPTION_INVALID' }),
    );
    await expect(sink.write(0, 0, 1, 1, new Uint16Array(3))).rejects.toThrow(
      expect.objectContaining({ code: 'OPTION_INVALID' }),
    );
  });

  it('has a coded error for a disk without room', async () => {
    const shape = { width: 1_000_000, height: 1_000_000, channels: 3, bitDepth: 16 } as const;
    await expect(createFileSink(shape, { directory })).rejects.toThrow(
      expect.objectContaining({ code: 'OUTPUT_UNWRITABLE', message: expect.stringContaining('no room') }),
    );
  });
});

describe('a process of its own', () => {
  const run = (limits: string, program: string) =>
    promisify(execFile)('sh', [
      '-c',
      `${limits} exec "$0" --conditions=@elfin/source --input-type=module -e "$1"`,
      process.execPath,
      program,
    ]);
  const module = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);

  it('that may write no more files of this size gets the same error, not a crash', async () => {
    // SIGXFSZ ignored, the write fails as on a full disk; the limit is in blocks of 512 bytes.
    const { stdout } = await run(
      "trap '' XFSZ; ulimit -f 2;",
      `import { createFileSink } from ${module('./raw-file.ts')};
       const sink = await createFileSink({ width: 100, height: 100, channels: 3, bitDepth: 8 }, { directory: ${JSON.stringify(directory)} });
       await sink.write(0, 0, 100, 100, new Uint8Array(30000)).catch((error) => process.stdout.write(error.code));
       await sink.dispose();`,
    );
    expect(stdout).toBe('OUTPUT_UNWRITABLE');
  });

  it('calls a photo that does not fit on the disk no damaged one', async () => {
    const photo = JSON.stringify(
      fileURLToPath(new URL('../../../../test/fixtures/fidelity/p3conv.jpg', import.meta.url)),
    );
    const { stdout } = await run(
      "trap '' XFSZ; ulimit -f 8;",
      `import { readFileSync } from 'node:fs';
       import { decodeToFile } from ${module('./raw-file.ts')};
       await decodeToFile(new Uint8Array(readFileSync(${photo})), { directory: ${JSON.stringify(directory)} })
         .catch(({ code, retry }) => process.stdout.write(code + ' ' + retry));`,
    );
    expect(stdout).toBe('OUTPUT_UNWRITABLE true');
  });

  it.runIf(process.platform === 'linux')('keeps no temporary file open once an image is done', async () => {
    const photo = JSON.stringify(
      fileURLToPath(new URL('../../../../test/fixtures/fidelity/p3conv.jpg', import.meta.url)),
    );
    const { stdout } = await run(
      'VIPS_BLOCK_UNTRUSTED=1',
      `import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
       import { createFileSink, decodeToFile } from ${module('./raw-file.ts')};
       const where = { directory: ${JSON.stringify(directory)} };
       const source = await decodeToFile(new Uint8Array(readFileSync(${photo})), where);
       const sink = await createFileSink(source, where);
       await sink.write(0, 0, 96, 64, await source.read(0, 0, 96, 64));
       const bytes = await sink.encode({ format: 'jpeg' });
       await Promise.all([source.dispose(), sink.dispose()]);
       const link = (fd) => { try { return readlinkSync('/proc/self/fd/' + fd); } catch { return ''; } };
       const open = readdirSync('/proc/self/fd').map(link).filter((path) => path.startsWith(where.directory));
       process.stdout.write((bytes.length > 500) + ' ' + open.length);`,
    );
    expect(stdout).toBe('true 0');
  });

  it('that exits without disposing leaves nothing behind', async () => {
    await run(
      '',
      `import { createFileSink } from ${module('./raw-file.ts')};
       await createFileSink({ width: 10, height: 10, channels: 3, bitDepth: 8 }, { directory: ${JSON.stringify(directory)} });
       process.exit(0);`,
    );
    expect(await readdir(directory)).toEqual([]);
  });
});
