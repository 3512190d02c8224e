import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from 'vitest';

// What a program that uses the SDK does to its process, and leaves on its machine.

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-native-'));
});
afterEach(() => rm(folder, { recursive: true }));

const OPEN = `
  import { createModels } from '@elfin/models/node';
  import { createNodeRuntime, createRestorer } from '@elfin/core/node';
  const grey = (side) => ({ width: side, height: side, channels: 3, data: new Uint8Array(side * side * 3).fill(90) });
  const models = createModels();
`;

/** Runs a program with a home and a folder for temporary files of its own; what it said, and what it left there. */
async function run(program: string, env: NodeJS.ProcessEnv = {}) {
  const [home, temporary] = [join(folder, 'home'), join(folder, 'tmp')];
  await Promise.all([mkdir(home), mkdir(temporary)]);
  const child = spawn(process.execPath, ['--conditions=@elfin/source', '--input-type=module', '-e', OPEN + program], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, HOME: home, TMPDIR: temporary, TMP: temporary, USERPROFILE: home, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const told = { out: '', err: '' };
  child.stdout.on('data', (chunk) => {
    told.out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    told.err += chunk;
  });
  const [code] = await once(child, 'close');
  const left = [...(await readdir(home, { recursive: true })), ...(await readdir(temporary, { recursive: true }))];
  return { code, ...told, left };
}

const RESTORE = `
  const restorer = createRestorer({ models });
  const { report } = await restorer.restore(grey(64), { task: 'derain' });
  await restorer.dispose();
  console.log(report.backend.provider, process.env.ORT_DISABLE_TELEMETRY);
`;

test('a program that restores a photo leaves nothing in HOME and TMPDIR: ONNX Runtime reports to nobody', async () => {
  expect(await run(RESTORE)).toEqual({ code: 0, out: expect.stringMatching(/^\w+ 1\n$/), err: '', left: [] });
});

test('who wants ONNX Runtime’s reports says so in the environment, and is heard', async () => {
  const { code, out } = await run(RESTORE, { ORT_DISABLE_TELEMETRY: '0' });
  expect([code, out]).toEqual([0, expect.stringMatching(/^\w+ 0\n$/)]);
});

test('in a worker thread that is terminated in the middle of a tile, the process lives, and hears of no report either', async () => {
  const { code, out, err, left } = await run(`
    import { Worker } from 'node:worker_threads';
    import { setTimeout as sleep } from 'node:timers/promises';
    const worker = new Worker(${JSON.stringify(`${OPEN}
      import { parentPort } from 'node:worker_threads';
      const restorer = createRestorer({ models });
      await restorer.warmup({ task: 'derain' });
      parentPort.postMessage('running');
      await restorer.restore(grey(768), { task: 'derain', tiling: { mode: 'local', tile: 384 } });
      parentPort.postMessage('finished');
    `)}, { eval: true, execArgv: ['--conditions=@elfin/source', '--input-type=module'] });
    const said = [];
    worker.on('message', async (message) => {
      said.push(message);
      await sleep(400);
      await worker.terminate();
      await sleep(2000);
      console.log(said.join());
    });
  `);
  expect({ code, out, err, left }).toEqual({ code: 0, out: 'running\n', err: '', left: [] });
});

test('thread: false in a worker thread is refused, because nothing could save the process', async () => {
  const worker = new Worker(
    `import { createNodeRuntime } from '@elfin/core/node';
     import { parentPort } from 'node:worker_threads';
     try { createNodeRuntime({ thread: false }); } catch (error) { parentPort.postMessage([error.code, error.message]); }`,
    { eval: true, execArgv: ['--conditions=@elfin/source', '--input-type=module'] },
  );
  const [message] = await once(worker, 'message');
  expect(message).toEqual([
    'OPTION_INVALID',
    expect.stringMatching(/^thread: false is for the main thread alone: [^\n]+$/),
  ]);
  await worker.terminate();
});
