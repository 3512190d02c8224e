import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadSharpCodec } from '@elfin/core/node';
import { readSafetensors, writeSafetensors } from '@elfin/core/weights';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HOSTILE } from '../fixtures/images/hostile.ts';
import { elfin } from '../helpers/cli.ts';
import { noise } from '../helpers/pictures.ts';
import { seededModel } from '../helpers/seeded-model.ts';

const fixtures = fileURLToPath(new URL('../fixtures/images/', import.meta.url));
const codec = await loadSharpCodec();
let folder: string;
let photo: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-cli-'));
  photo = join(folder, 'photo.png');
  await writeFile(photo, await codec.encode(noise(80, 56), { format: 'png' }));
});
afterAll(() => rm(folder, { recursive: true }));

const oneLine = (code: string) => new RegExp(`^elfin: [^\\n]+ \\[${code}\\]\\n$`);

describe('elfin restore', () => {
  test('one photo: the result, the comparison and the map beside each other, and what was done', async () => {
    const out = join(folder, 'one');
    const { code, stderr } = await elfin(['restore', photo, '-o', `${out}/`, '--compare', '--map']);
    expect({ code, files: (await readdir(out)).sort() }).toEqual({
      code: 0,
      files: ['photo.compare.jpg', 'photo.map.png', 'photo.png'],
    });
    expect(stderr).toMatch(
      /photo\.png → .*\n {4}derain with derain-lw-\S+, cpu × \d+ threads?, seen at \d+ × \d+, whole, 1 tile, \d+\.\d s\n/,
    );
    const sizes = await Promise.all(
      ['photo.png', 'photo.compare.jpg', 'photo.map.png'].map(async (name) =>
        codec.probe(await readFile(join(out, name))),
      ),
    );
    expect(sizes.map(({ width, height }) => [width, height])).toEqual([
      [80, 56],
      [164, 56],
      [40, 28],
    ]);

    const before = await readFile(join(out, 'photo.png'));
    const again = await elfin(['restore', photo, '-o', `${out}/`, '--strength', '0.5']);
    expect(again).toMatchObject({ code: 1, stderr: expect.stringMatching(oneLine('OUTPUT_EXISTS')) });
    expect(again.stderr).toContain('--force');
    expect(await readFile(join(out, 'photo.png'))).toEqual(before);
  });

  test('hostile files fail each with its code and leave nothing; the good one among them is restored', async () => {
    const out = join(folder, 'hostile');
    // Each under a name of its own: two inputs with one output would be refused.
    const inputs = join(folder, 'hostile-inputs');
    await mkdir(inputs);
    const files = HOSTILE.map(({ file }, index) => join(inputs, `${index}-${file}`));
    await Promise.all(HOSTILE.map(({ file }, index) => copyFile(join(fixtures, file), files[index]!)));
    const { code, stdout } = await elfin(['restore', ...files, photo, '-o', out, '--json', '--format', 'png']);
    const { images, ...counts } = JSON.parse(stdout.toString());
    expect({ code, ...counts }).toEqual({
      code: 1,
      restored: 1,
      unchanged: 0,
      skipped: 0,
      failed: HOSTILE.length,
      notBegun: 0,
      leftOut: 0,
    });
    const codes = images.slice(0, -1).map((image: { error: { code: string } }) => image.error.code);
    expect(Object.fromEntries(HOSTILE.map(({ file }, index) => [file, codes[index]]))).toEqual(
      Object.fromEntries(HOSTILE.map(({ file, code: wanted }) => [file, wanted])),
    );
    expect(await readdir(out)).toEqual(['photo.png']);
  });

  test('refusals name the flag that lifts them', async () => {
    const refused = async (file: string, ...flags: string[]) =>
      (await elfin(['restore', join(fixtures, file), '-o', join(folder, 'over-limits/'), ...flags])).stderr;
    expect(await refused('bomb.png')).toMatch(/52000000 pixels allowed.*--max-pixels/);
    expect(await refused('animated.gif')).toContain('--animated first');
    expect(await refused('alpha.webp', '--max-bytes', '0.0001')).toMatch(/more than the 100 allowed.*--max-bytes/);
  });

  test('standard input to standard output, and nothing else on it', async () => {
    const { code, stdout, stderr } = await elfin(['restore', '-', '--strength', '0'], { stdin: await readFile(photo) });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [image, source] = await Promise.all([codec.decode(stdout), codec.decode(await readFile(photo))]);
    expect(image.data).toEqual(source.data);
  });

  test('a folder is restored the same way twice: what the first run left is told and left alone', async () => {
    const photos = join(folder, 'twice');
    await mkdir(photos);
    await copyFile(photo, join(photos, 'a.png'));
    for (const left of [undefined, '1 left out as a result of earlier runs\n']) {
      const { code, stderr } = await elfin(['restore', '.', '--strength', '0', '--force'], { cwd: photos });
      expect({ code, told: /^\d+ left out.*\n/.exec(stderr)?.[0] }).toEqual({ code: 0, told: left });
      expect((await readdir(photos)).sort()).toEqual(['a.png', 'a.restored.png']);
    }
  });

  test('a source is never replaced, not even with --force', async () => {
    const before = await readFile(photo);
    const { code, stderr } = await elfin(['restore', photo, '-o', `${folder}/`, '--force']);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(oneLine('OPTION_INVALID')) });
    expect(stderr).toMatch(/would replace its source/);
    expect(await readFile(photo)).toEqual(before);
  });

  test('an interrupt stops the work and leaves no file, whole or half', async () => {
    const out = join(folder, 'interrupted');
    const large = join(folder, 'large.png');
    await writeFile(large, await codec.encode(noise(1600, 1200), { format: 'png' }));
    const { code, stderr } = await elfin(['restore', large, '-o', `${out}/`], { interruptAfterMs: 4000 });
    expect({ code, stderr }).toMatchObject({ code: 130, stderr: expect.stringMatching(oneLine('ABORTED')) });
    expect(await readdir(out)).toEqual([]);
  });

  test('places that cannot be written are told before any work', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    await mkdir(join(folder, 'taken', 'photo.png'), { recursive: true });
    const cases = [
      ['-o', join(file, 'below', 'x.png')],
      ['-o', join(folder, 'taken'), '--force'],
    ];
    for (const place of cases)
      expect(await elfin(['restore', photo, ...place])).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(oneLine('OUTPUT_UNWRITABLE')),
      });
  });
});

describe('wrong words end with 2, one line and no stack', () => {
  test.each([
    [['restore'], /Name what to restore/],
    [['restore', 'x.jpg', '--taks', 'derain'], /--taks is not a flag of elfin restore: did you mean --task\?/],
    [['restore', 'x.jpg', '--task', 'snow'], /--task must be one of derain, lowlight, underwater, auto, not "snow"/],
    [['restore', 'x.jpg', '--strength', 'much'], /--strength must be a number from 0 to 1/],
    [['restore', 'x.jpg', '-o', 'result.bmp'], /Cannot tell a format/],
    [['restore', 'x.jpg', '--device', 'toaster'], /--device is/],
    [['restore', '-', '--json'], /standard output, where --json would write as well/],
    [['restore', 'photo.png', '-o', '-', '--compare'], /--compare writes a file beside the result/],
    [['restore', '-', '--map'], /--map writes a file beside the result/],
    [['doctor', 'extra'], /doctor takes no "extra"/],
    [['doctor', '--device', 'toaster'], /--device is/],
    [['doctor', '--device', 'http://'], /is not a worker's address/, 'CONFIG_INVALID'],
    [['serve', '--port', ''], /--port is 0…65535, not ""/],
    [['eval'], /--input is missing/],
    [['import', 'x.pth'], /--preset is missing/],
    [['fly'], /There is no verb "fly"/],
  ] as [string[], RegExp, string?][])('%j', async (words, says, error = 'OPTION_INVALID') => {
    const { code, stdout, stderr } = await elfin(words, { cwd: folder });
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringMatching(oneLine(error)) });
    expect(stderr).toMatch(says);
    // For programs, the same as JSON; never anything else.
    if (stdout.length > 0) expect(JSON.parse(stdout.toString())).toMatchObject({ error: { code: error } });
  });

  test('help of every verb, and the version', async () => {
    const { stdout } = await elfin(['--help']);
    const verbs = [...stdout.toString().matchAll(/^ {2}(\w+) {2,}/gm)].map(([, verb]) => verb!);
    expect(verbs).toEqual(expect.arrayContaining(['restore', 'eval', 'inspect', 'export', 'import', 'doctor']));
    const helps = await Promise.all(verbs.map((verb) => elfin([verb, '--help'])));
    for (const help of helps) expect(help).toMatchObject({ code: 0, stderr: '' });
    expect((await elfin(['--version'])).stdout.toString()).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('models', () => {
  test('import, restore with what was imported, inspect and export it', async () => {
    const { bytes } = await seededModel('elf-lw');
    const { state } = readSafetensors(await bytes(), 'seeded');
    const wrapped = new Map([...state].map(([key, tensor]) => [`module.${key}`, tensor]));
    const checkpoint = join(folder, 'trained.safetensors');
    await writeFile(checkpoint, writeSafetensors(wrapped));
    const model = join(folder, 'model');
    const imported = await elfin([
      'import',
      checkpoint,
      '--preset',
      'elf-lw',
      '--task',
      'lowlight',
      '--crop',
      '192',
      '-o',
      model,
      '--json',
    ]);
    expect(JSON.parse(imported.stdout.toString())).toMatchObject({
      keys: 499,
      manifest: { preset: 'elf-lw', task: 'lowlight', crop: 192 },
    });

    const out = join(folder, 'by-import.png');
    expect((await elfin(['restore', photo, '--task', 'lowlight', '--model', model, '-o', out])).code).toBe(0);
    const wrong = await elfin([
      'restore',
      photo,
      '--task',
      'derain',
      '--model',
      model,
      '-o',
      join(folder, 'never.png'),
    ]);
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringMatching(oneLine('OPTION_INVALID')) });

    const onnx = join(folder, 'model.onnx');
    expect((await elfin(['export', '--model', model, '--io', 'uint8', '-o', onnx])).code).toBe(0);
    const { stdout } = await elfin(['inspect', onnx, '--json']);
    expect(JSON.parse(stdout.toString())).toMatchObject({ opset: 17, inputs: [{ name: 'image', type: 'uint8' }] });
  });

  test('inspect: a preset, and a bundled model by its name', async () => {
    const preset = (await elfin(['inspect', 'elf'])).stdout.toString();
    expect(preset).toMatch(/parameters +1,536,785 in 632 keys/);
    expect(preset).toMatch(/MACs @ 256² +16\.53 G convolution/);
    expect(preset).toMatch(/^Softmax +23$/m);
    const model = await elfin(['inspect', 'lowlight-lw', '--json']);
    expect(JSON.parse(model.stdout.toString())).toMatchObject({ manifest: { task: 'lowlight' }, preset: 'elf-lw' });
  });

  test('an exported graph restores as its weights do, whole and in local tiles; it cannot be tiled otherwise', async () => {
    const onnx = join(folder, 'derain.onnx');
    expect((await elfin(['export', '-o', onnx])).code).toBe(0);
    const by = async (model: string, tiling: string) => {
      const out = join(folder, 'by-graph.png');
      const words = ['--model', model, '--tiling', tiling, '--tile', '64', '--overlap', '32', '--force', '-o', out];
      const { code, stderr } = await elfin(['restore', photo, ...words]);
      return { code, stderr, data: code === 0 ? (await codec.decode(await readFile(out))).data : undefined };
    };
    for (const tiling of ['whole', 'local'])
      expect((await by(onnx, tiling)).data).toEqual((await by('lw', tiling)).data);
    expect(await by(onnx, 'global')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/tile it as local or whole/),
    });
  });

  test('a checkpoint of another preset, with NaN, or that would run code', async () => {
    const { bytes } = await seededModel('elf-lw');
    const { state } = readSafetensors(await bytes(), 'seeded');
    const [key, tensor] = [...state][0]!;
    const broken = new Map(state).set(key, { ...tensor, data: tensor.data.map(() => Number.NaN) });
    const files = { fits: await bytes(), nan: writeSafetensors(broken) };
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, `${name}.safetensors`), content);
    const evil = fileURLToPath(new URL('../fixtures/weights/malicious.pth', import.meta.url));
    const to = ['--task', 'derain', '-o', join(folder, 'refused')];
    const results = await Promise.all([
      elfin(['import', join(folder, 'fits.safetensors'), '--preset', 'elf', ...to]),
      elfin(['import', join(folder, 'nan.safetensors'), '--preset', 'elf-lw', ...to]),
      elfin(['import', evil, '--preset', 'elf-lw', ...to]),
    ]);
    expect(results.map(({ code }) => code)).toEqual([1, 1, 1]);
    for (const [index, code] of ['WEIGHTS_MISMATCH', 'WEIGHTS_NOT_FINITE', 'WEIGHTS_UNSAFE'].entries())
      expect(results[index]!.stderr).toMatch(oneLine(code));
    expect(results[0]!.stderr).toContain('elf-lw');
    expect(results[2]!.stderr).toContain('system');
    await expect(readdir(join(folder, 'refused'))).rejects.toThrow();
  });
});

test('elfin doctor finds this machine able', async () => {
  const { code, stdout } = await elfin(['doctor', '--json']);
  expect({ code, ...JSON.parse(stdout.toString()) }).toMatchObject({ code: 0, ok: true });
});
