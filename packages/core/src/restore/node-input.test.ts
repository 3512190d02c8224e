import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { readLocation } from './node-input.ts';

const options = { limit: 1000, timeout: 1000 };

it('reads a path and a file URL, whatever letters are in it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'elfin-input-'));
  const path = join(folder, 'a photo 100 %.jpg');
  await writeFile(path, 'bytes');
  for (const location of [path, pathToFileURL(path), pathToFileURL(path).href])
    expect(new TextDecoder().decode(await readLocation(location, options))).toBe('bytes');
  await rm(folder, { recursive: true });
});

it.each(['file://host/x.jpg', 'file:///a%2Fb.jpg', 'file:///a%00b.jpg', 'file:///%E0%A4.jpg', 'file://[', 'data:,x'])(
  '%s is refused in one line',
  async (location) => {
    for (const given of URL.canParse(location) ? [location, new URL(location)] : [location]) {
      await expect(readLocation(given, options)).rejects.toMatchObject({
        code: expect.stringMatching(/^(OPTION_INVALID|INPUT_UNREADABLE)$/),
        message: expect.not.stringContaining('\n'),
      });
    }
  },
);

it.each(['file://host/x.jpg', 'file:///a%2Fb.jpg'])('%s names no file here', async (location) => {
  await expect(readLocation(location, options)).rejects.toMatchObject({ code: 'OPTION_INVALID' });
});
