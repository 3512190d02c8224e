import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { expect, test } from 'vitest';

const program = fileURLToPath(new URL('./start.ts', import.meta.url));

test('what npm start does: the bundled photo into ./restored, flags with values included, over an earlier result, never over a source', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'elfin-start-'));
  const start = (...words: string[]) =>
    promisify(execFile)(process.execPath, ['--conditions=@elfin/source', program, ...words], {
      env: { ...process.env, INIT_CWD: folder },
    });
  try {
    await start('--strength', '0.5');
    expect(await readdir(join(folder, 'restored'))).toEqual(['rainy.compare.jpg', 'rainy.jpg']);
    expect(await sharp(join(folder, 'restored/rainy.jpg')).metadata()).toMatchObject({ width: 760, height: 504 });
    await sharp(join(folder, 'restored/rainy.jpg')).resize(32).toFile(join(folder, 'own.png'));
    await start('own.png');
    expect(await readdir(join(folder, 'restored'))).toEqual([
      'own.compare.jpg',
      'own.png',
      'rainy.compare.jpg',
      'rainy.jpg',
    ]);
    const before = await readFile(join(folder, 'restored/own.png'));
    await expect(start('restored/own.png')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('would replace its source'),
    });
    expect(await readFile(join(folder, 'restored/own.png'))).toEqual(before);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
