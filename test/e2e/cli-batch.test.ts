import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, link, mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSharpCodec } from '@elfin/core/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { elfin, MAIN } from '../helpers/cli.ts';
import { noise } from '../helpers/pictures.ts';

const codec = await loadSharpCodec();
let folder: string;
let photo: string;
const fast = ['--strength', '0'];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-batch-'));
  photo = join(folder, 'photo.png');
  await writeFile(photo, await codec.encode(noise(80, 56), { format: 'png' }));
});
afterAll(() => rm(folder, { recursive: true }));

async function album(name: string, ...files: string[]): Promise<string> {
  const photos = join(folder, name);
  await mkdir(photos);
  for (const file of files) await copyFile(photo, join(photos, file));
  return photos;
}

const counts = (stdout: Buffer) => {
  const { images, ...rest } = JSON.parse(stdout.toString());
  return rest as Record<string, number>;
};

describe('a batch that is run again', () => {
  test('tells once that results are there; --skip-existing leaves them and ends with 0', async () => {
    const photos = await album('again', 'a.png', 'b.png', 'c.png');
    const out = join(folder, 'again-out');
    const run = (...flags: string[]) => elfin(['restore', photos, '-o', out, ...fast, ...flags]);
    expect(await run()).toMatchObject({ code: 0, stderr: expect.stringMatching(/\[3 of 3\].*\n3 restored\n$/s) });
    await rm(join(out, 'b.png'));
    const refused = await run();
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('1 restored, 2 failed (OUTPUT_EXISTS)') });
    expect(
      refused.stderr.match(/elfin: 2 results exist \(.*\) already: --skip-existing .*\[OUTPUT_EXISTS\]/g),
    ).toHaveLength(1);
    await rm(join(out, 'c.png'));
    expect(await run('--skip-existing')).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('1 restored, 2 skipped'),
    });
    expect(await run('--skip-existing', '-q')).toMatchObject({ code: 0, stderr: '' });
  });

  test('--resume makes anew what has another source, other options, or a result older than its source', async () => {
    const photos = await album('resumed', 'a.png', 'b.png');
    const out = join(folder, 'resumed-out');
    const run = async (...flags: string[]) => {
      const { code, stdout } = await elfin(['restore', photos, '-o', out, '--resume', '--json', ...flags]);
      const { restored, skipped } = counts(stdout);
      return { code, restored, skipped };
    };
    expect(await run(...fast)).toEqual({ code: 0, restored: 2, skipped: 0 });
    expect(await run(...fast)).toEqual({ code: 0, restored: 0, skipped: 2 });
    expect(await run('--strength', '0.5')).toEqual({ code: 0, restored: 2, skipped: 0 });
    await utimes(join(photos, 'a.png'), new Date(), new Date());
    expect(await run('--strength', '0.5')).toEqual({ code: 0, restored: 1, skipped: 1 });
    // A line that a crash cut off is passed over, and its result judged by its time.
    await writeFile(join(out, '.elfin-results.jsonl'), '{"result":"a.p');
    expect(await run('--strength', '0.5')).toEqual({ code: 0, restored: 0, skipped: 2 });
  });

  test('contradicting flags are told', async () => {
    for (const flags of [
      ['--resume', '--force'],
      ['--skip-existing', '--resume'],
    ])
      expect(await elfin(['restore', photo, ...flags])).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/contradict each other/),
      });
  });
});

test('--dry-run says what would be done and writes nothing', async () => {
  const photos = await album('dry', 'a.png', 'b.png');
  await writeFile(join(photos, 'broken.jpg'), 'no photo');
  const before = await readdir(folder);
  const { code, stdout } = await elfin(['restore', photos, '-o', join(folder, 'dry-out'), '--dry-run']);
  expect({ code, after: await readdir(folder) }).toEqual({ code: 0, after: before });
  expect(stdout.toString()).toMatch(
    /a\.png .*restore\n.*broken\.jpg.*fail: .*\n2 of 3 would be restored, 0\.0 megapixels; nothing was written\n$/s,
  );
});

test('one photo in a folder works as two do', async () => {
  const photos = await album('single', 'a.png');
  const out = join(folder, 'single-out');
  expect(await elfin(['restore', photos, '-o', out, ...fast])).toMatchObject({ code: 0 });
  expect(await readdir(out)).toEqual(['a.png']);
});

test('clashing names are each told, and do not stop the rest', async () => {
  const [one, two] = [await album('one', 'a.png', 'b.png'), await album('two', 'a.png', 'b.png', 'c.png')];
  const out = join(folder, 'clash-out');
  const files = ['a.png', 'b.png'].flatMap((name) => [join(one, name), join(two, name)]);
  const { code, stderr } = await elfin(['restore', ...files, join(two, 'c.png'), '-o', out, ...fast]);
  expect({ code, files: (await readdir(out)).sort() }).toEqual({ code: 1, files: ['a.png', 'b.png', 'c.png'] });
  expect(stderr.match(/would be written to .*[ab]\.png: restore them separately/g)).toHaveLength(2);
  expect(stderr).toContain('3 restored, 2 failed (OPTION_INVALID)');
});

test('RAW files of a folder are told and left alone', async () => {
  const photos = await album('raw', 'a.png');
  await writeFile(join(photos, 'a.nef'), 'II*');
  const { code, stderr } = await elfin(['restore', photos, '-o', join(folder, 'raw-out'), ...fast]);
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: expect.stringMatching(/^1 RAW file left out \(.*a\.nef\): develop them first\n/),
  });
});

// Windows has neither pipes nor devices in its folders.
describe.skipIf(process.platform === 'win32')('what is no file of its own', () => {
  test('links to the same file are restored once', async () => {
    const photos = await album('links', 'a.png');
    await symlink('a.png', join(photos, 'b.png'));
    await link(join(photos, 'a.png'), join(photos, 'c.png'));
    const { code, stdout } = await elfin(['restore', photos, '-o', join(folder, 'links-out'), '--json', ...fast]);
    expect({ code, ...counts(stdout) }).toMatchObject({ code: 0, restored: 1, skipped: 2, failed: 0 });
  });

  test('a pipe is read to its end; one that nobody writes to, a device and a socket are refused at once', async () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const silent = await elfin(['restore', pipe, '-o', join(folder, 'silent.png')]);
    expect(silent).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/a pipe that nobody writes to.*\[INPUT_UNREADABLE\]/),
    });
    const shell = spawn(
      'bash',
      [
        '-c',
        `"$0" --conditions=@elfin/source "$1" restore <(cat "$2") -o "$3" --strength 0`,
        process.execPath,
        MAIN,
        photo,
        join(folder, 'piped.png'),
      ],
      { stdio: 'ignore' },
    );
    expect(await once(shell, 'close')).toEqual([0, null]);
    expect((await codec.decode(await readFile(join(folder, 'piped.png')))).data).toEqual(
      (await codec.decode(await readFile(photo))).data,
    );
    expect(await elfin(['restore', '/dev/zero'])).toMatchObject({
      code: 1,
      stderr: 'elfin: /dev/zero is a device, not a photo. [INPUT_UNREADABLE]\n',
    });
  });

  test('names say nothing in the terminal’s own language', async () => {
    const photos = await album('names', 'a\x1b[31m\nb.png');
    const { stderr } = await elfin(['restore', photos, '-o', join(folder, 'names-out'), ...fast]);
    expect(stderr).toContain('a\\x1b[31m\\x0ab.png');
    expect(stderr).not.toContain('\x1b');
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('%s ends a batch with one line and its own code', async (signal) => {
    const photos = await album(`stopped-${signal}`);
    const large = await codec.encode(noise(1600, 1200), { format: 'png' });
    for (const name of ['a', 'b', 'c']) await writeFile(join(photos, `${name}.png`), large);
    const out = join(folder, `stopped-${signal}-out`);
    const child = spawn(process.execPath, ['--conditions=@elfin/source', MAIN, 'restore', photos, '-o', out]);
    let told = '';
    child.stderr.on('data', (chunk: Buffer) => {
      told += chunk;
    });
    const gone = once(child, 'close');
    // The folder is made when the first photo's work begins.
    while ((await readdir(out).catch(() => undefined)) === undefined) await new Promise((done) => setTimeout(done, 50));
    child.kill(signal);
    expect(await gone).toEqual([signal === 'SIGINT' ? 130 : 143, null]);
    expect(told).toBe(`elfin: interrupted by ${signal}: 0 restored, 3 not begun [ABORTED]\n`);
    expect(await readdir(out)).toEqual([]);
  });
});

test('a URL is written beside the caller, under its last segment', async () => {
  const server = createServer(async (_, response) => response.end(await readFile(photo)));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const here = join(folder, 'caller');
  await mkdir(here);
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/album/rainy%20day.png?size=2`;
    expect(await elfin(['restore', url, ...fast], { cwd: here })).toMatchObject({ code: 0 });
    expect(await readdir(here)).toEqual(['rainy day.restored.png']);
  } finally {
    server.close();
  }
});

test('classify tells what auto would do, photo by photo, and restores nothing', async () => {
  const photos = await album('classified', 'noise.png');
  await copyFile(join(import.meta.dirname, '../../packages/cli/assets/rainy.jpg'), join(photos, 'rainy.jpg'));
  await writeFile(join(photos, 'broken.jpg'), 'no photo');
  const told = await elfin(['classify', photos]);
  expect(told).toMatchObject({ code: 1, stderr: expect.stringMatching(/broken\.jpg: .*\[IMAGE_UNSUPPORTED\]\n$/) });
  expect(told.stdout.toString()).toMatch(
    /^input .*\n.*broken\.jpg +failed: IMAGE_UNSUPPORTED\n.*noise\.png +none .*\n.*rainy\.jpg +derain +\d+ %/,
  );
  const { images } = JSON.parse((await elfin(['classify', join(photos, 'rainy.jpg'), '--json'])).stdout.toString());
  expect(images).toEqual([
    {
      input: join(photos, 'rainy.jpg'),
      classification: expect.objectContaining({ task: 'derain', scores: expect.anything() }),
    },
  ]);
  expect((await readdir(photos)).sort()).toEqual(['broken.jpg', 'noise.png', 'rainy.jpg']);
});

describe('words', () => {
  test.each([
    [['resotre'], /did you mean elfin restore\?/],
    [['rain.jpg'], /say elfin restore rain\.jpg/],
    [['completions', 'tcsh'], /Name one shell: bash, zsh, fish, powershell, not "tcsh"/],
  ])('%j', async (words, says) => {
    expect(await elfin(words)).toMatchObject({ code: 2, stderr: expect.stringMatching(says) });
  });

  test('completions: the script, and what it asks', async () => {
    const script = await elfin(['completions', 'bash']);
    expect(script.stdout.toString()).toContain('elfin complete --');
    const asked = async (...words: string[]) => (await elfin(['complete', '--', ...words])).stdout.toString();
    expect(await asked('re')).toMatch(/^restore\t/m);
    expect(await asked('restore', '--sk')).toMatch(/^--skip-existing\t/m);
    expect(await asked('restore', '--task', '')).toMatch(/^lowlight/m);
  });

  test('help of every verb stays within 80 columns', async () => {
    const { stdout } = await elfin(['--help']);
    const verbs = [...stdout.toString().matchAll(/^ {2}(\w+) {2,}/gm)].map(([, verb]) => verb!);
    expect(verbs.length).toBeGreaterThan(10);
    const pages = await Promise.all(verbs.map(async (verb) => (await elfin([verb, '--help'])).stdout.toString()));
    const wide = [stdout.toString(), ...pages].flatMap((page) => page.split('\n')).filter((line) => line.length > 80);
    expect(wide).toEqual([]);
  });
});
