import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { readImage } from '../fixtures/images/read.ts';
import { elfin, MAIN } from '../helpers/cli.ts';

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** `elfin worker` as a user starts it, until it says where it listens. */
async function start(...words: string[]) {
  const child = spawn(
    process.execPath,
    ['--conditions=@elfin/source', MAIN, 'worker', '--port', '0', '--json', ...words],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  children.push(child);
  let [told, warned] = ['', ''];
  child.stderr.on('data', (chunk) => {
    warned += chunk;
  });
  for await (const chunk of child.stdout) {
    told += chunk;
    if (told.includes('\n')) break;
  }
  return { child, warned: () => warned, ...(JSON.parse(told) as { url: string; on: string; models: string }) };
}

test('without --device the best one that works is taken, and why the better ones were not is told', async () => {
  const { child, url, on, models, warned } = await start();
  const order = ['cuda', 'webgpu', 'cpu'];
  const taken = /\((\w+)\)$/.exec(on)?.[1] ?? '';
  expect(order).toContain(taken);
  const declined = [...warned().matchAll(/^elfin: (\w+) not taken: (.{10,})$/gm)];
  expect(declined.map(([, provider]) => provider)).toEqual(order.slice(0, order.indexOf(taken)));
  expect(models.split(' ')).toContainEqual(expect.stringMatching(/^derain-lw-.+-[0-9a-f]{12}$/));
  expect((await fetch(`${url}/v2/health/ready`)).status).toBe(200);

  // Asked for by name, such a device is an error instead of a reason.
  for (const [, provider = ''] of declined) {
    const { code, stderr } = await elfin(['worker', '--port', '0', '--device', provider]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(`${provider}: .{10,} \\[RUNTIME_UNAVAILABLE\\]`)]);
  }

  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await gone).toEqual([0, null]);
});

test.each([
  [['--max-pixels', '0.0001'], 'restore=derain,format=png', 'more than the 100 pixels allowed'],
  [['--max-result-side', '40'], 'restore=derain,format=png,width=48', 'at most 40'],
])('whole images are held to %j', async (words, options, told) => {
  const { url } = await start('--device', 'cpu', ...words);
  const answer = await fetch(`${url}/restore?o=${options}`, {
    method: 'POST',
    body: new Uint8Array(readImage('rgb.jpg')),
  });
  expect([answer.status, answer.headers.get('Elfin-Error')]).toEqual([422, 'IMAGE_TOO_MANY_PIXELS']);
  expect(await answer.json()).toEqual({ error: expect.stringContaining(told) });
});

test.each([
  [['--host', '0.0.0.0'], 2, 'set a token'],
  [['--device', 'http://127.0.0.1:8000'], 2, 'workers do not chain'],
  [['--max-batch', '0'], 2, '--max-batch'],
  [['--max-pixels', 'many'], 2, '--max-pixels'],
  [['--max-result-side', '65536'], 2, '--max-result-side'],
  [['--models', '/nowhere'], 1, '/nowhere'],
])('elfin worker %j is refused in one line', async (words, status, told) => {
  const { code, stderr } = await elfin(['worker', '--port', '0', '--device', 'cpu', ...words]);
  expect([code, stderr.trim().split('\n')]).toEqual([status, [expect.stringContaining(told)]]);
});
