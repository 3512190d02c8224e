import { loadSharpCodec } from '@elfin/core/node';
import { createMemoryStore } from '@elfin/storage';
import { expect, test } from 'vitest';
import type { Signer } from '../url/sign.ts';
import { composeEdge } from './compose.ts';
import { readConfig } from './config.ts';

const codec = await loadSharpCodec();
const config = (origin: string) => readConfig({ ELFIN_URL_KEYS: `k:${'01'.repeat(32)}`, ELFIN_ORIGIN: origin });

test('ELFIN_ORIGIN opens the folder that it names, and not the rest of its host', async () => {
  const asked: string[] = [];
  const fetch = async (url: string) => {
    asked.push(url);
    return new Response(null, { status: 404 });
  };
  const edge = composeEdge(config('https://origin.example/photos/'), { codec, store: createMemoryStore(), fetch });
  const code = async (source: string) => {
    const url = await (edge.signer as Signer).sign({ options: { restore: 'none' }, source });
    return (await edge.app.request(url)).headers.get('elfin-error');
  };
  expect(await code('a b.jpg')).toBe('SOURCE_MISSING');
  expect(await code('https://origin.example/photos/a.jpg')).toBe('SOURCE_MISSING');
  expect(await code('https://origin.example/private/backup.jpg')).toBe('SOURCE_FORBIDDEN');
  expect(await code('https://origin.example/photos-of-others/a.jpg')).toBe('SOURCE_FORBIDDEN');
  expect(asked).toEqual(['https://origin.example/photos/a%20b.jpg', 'https://origin.example/photos/a.jpg']);
});

test.each([
  'origin.example',
  'ftp://origin.example/',
  'https://user:secret@origin.example/',
  'https://origin.example/?v=1',
  'https://*.example/',
])('ELFIN_ORIGIN=%s is refused by name', (origin) => {
  expect(() => config(origin)).toThrow(
    expect.objectContaining({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/^ELFIN_ORIGIN cannot be used: it/),
    }),
  );
});
