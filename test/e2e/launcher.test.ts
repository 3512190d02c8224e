import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const launcher = fileURLToPath(new URL('../../packages/cli/bin/elfin.js', import.meta.url));
const photo = fileURLToPath(new URL('../fixtures/images/rgb.jpg', import.meta.url));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-launcher-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** `elfin restore -`, in a process group of its own as a shell starts it, once it waits for the photo. */
async function waiting() {
  const out = join(folder, 'out');
  const child = spawn(process.execPath, [launcher, 'restore', '-', '-o', join(out, 'photo.jpg')], { detached: true });
  let told = '';
  child.stderr.on('data', (chunk) => {
    told += chunk;
  });
  child.stdin.on('error', () => undefined);
  const gone = once(child, 'close');
  // The folder is made when the work begins: from then on an interrupt is listened to.
  while (!existsSync(out) && child.exitCode === null) await sleep(50);
  return {
    pid: child.pid!,
    async end() {
      await sleep(300);
      child.stdin.end(await readFile(photo));
      const [code] = await gone;
      return { code, told, files: await readdir(out) };
    },
  };
}

// Windows knows neither groups nor signals.
describe.skipIf(process.platform === 'win32')('an interrupt ends the work in good order', () => {
  const stopped = (code: number) => ({ code, told: expect.stringMatching(/^elfin: [^\n]+ \[ABORTED\]\n$/), files: [] });

  test('sent to the whole group, as a terminal does, although the launcher passes it on as well', async () => {
    const { pid, end } = await waiting();
    process.kill(-pid, 'SIGINT');
    expect(await end()).toEqual(stopped(130));
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('%s sent to the launcher alone', async (signal) => {
    const { pid, end } = await waiting();
    process.kill(pid, signal);
    expect(await end()).toEqual(stopped(signal === 'SIGINT' ? 130 : 143));
  });

  test('a second one, later, ends the process at once', async () => {
    const { pid, end } = await waiting();
    process.kill(-pid, 'SIGINT');
    await sleep(1000);
    process.kill(-pid, 'SIGINT');
    expect(await end()).toEqual({ code: 130, told: '', files: [] });
  });
});
