import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { goBinary, VERSITYGW } from './helpers/binary.ts';
import { freePort } from './helpers/process.ts';

const repository = new URL('../../', import.meta.url).pathname;

it('the commands of docs/plugins.md lead from nothing to a restored upload', async () => {
  const docs = await readFile(join(repository, 'docs/plugins.md'), 'utf8');
  const commands = /<!-- run: quickstart -->\n```sh\n(.*?)```/s.exec(docs)?.[1];
  if (commands === undefined) throw new Error('docs/plugins.md has no quickstart.');
  const folder = await mkdtemp(join(tmpdir(), 'elfin-quickstart-'));

  // The reader stands in the checkout; here npm is told where that is, and versitygw is the cached one.
  const bin = join(folder, 'bin');
  await mkdir(bin);
  const wrap = async (name: string, line: string) => {
    await writeFile(join(bin, name), `#!/bin/sh\nexec ${line} "$@"\n`);
    await chmod(join(bin, name), 0o755);
  };
  await wrap('versitygw', await goBinary(VERSITYGW));
  const [store, hook] = [await freePort(), await freePort()];
  const script = commands
    .replaceAll('7070', String(store))
    .replaceAll('8099', String(hook))
    .replaceAll('packages/cli/assets/', `${repository}packages/cli/assets/`)
    .replaceAll(
      'npm run --silent elfin --',
      `${process.execPath} --conditions=@elfin/source ${repository}packages/cli/src/main.ts`,
    );
  // Its own process group: whatever it leaves in the background ends with it.
  const child = spawn('bash', ['-euc', script], {
    cwd: folder,
    detached: true,
    env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
  });
  let output = '';
  const keep = (chunk: Buffer) => {
    output += chunk.toString();
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  try {
    const code = await new Promise((resolve, reject) => {
      child.once('exit', resolve);
      setTimeout(() => reject(new Error(`No result in time:\n${output}`)), 120_000).unref();
    });
    expect(code, output).toBe(0);
    const place = join(folder, 'bucket/photos/restored/incoming/photo.jpg');
    const results = await readdir(place);
    expect(results).toHaveLength(1);
    expect(output).toContain(`bucket/photos/restored/incoming/photo.jpg/${results[0]}`);
    const { width, height } = await sharp(join(repository, 'packages/cli/assets/rainy.jpg')).metadata();
    expect(await sharp(join(place, results[0]!)).metadata()).toMatchObject({ format: 'jpeg', width, height });
  } finally {
    process.kill(-child.pid!, 'SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
});
