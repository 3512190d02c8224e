import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const WRANGLER = join(ROOT, 'node_modules/wrangler/bin/wrangler.js');

export interface WranglerDev {
  readonly url: string;
  stop(): Promise<void>;
}

function wrangler(words: readonly string[]) {
  const child = spawn(process.execPath, [WRANGLER, ...words], {
    cwd: ROOT,
    env: { ...process.env, CLOUDFLARE_CF_FETCH_ENABLED: 'false', WRANGLER_SEND_METRICS: 'false', CI: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const ready = new Promise<string>((resolve) => {
    const keep = (chunk: Buffer) => {
      output = (output + chunk).slice(-100_000);
      const url = /Ready on (http:\/\/\S+)/.exec(output)?.[1];
      if (url) resolve(url.replace('localhost', '127.0.0.1'));
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
  });
  return { child, ready, gone: once(child, 'exit'), output: () => output };
}

/**
 * `wrangler dev` with the configuration in the repository's root, on a free port of loopback: R2, the queue, Durable Objects
 * and the Cache API are the local runtime's. `photos` lie in the bucket that it reads sources from.
 */
export async function startWranglerDev(options: {
  readonly vars: Readonly<Record<string, string>>;
  readonly photos: Readonly<Record<string, Uint8Array>>;
}): Promise<WranglerDev> {
  const folder = await mkdtemp(join(tmpdir(), 'elfin-wrangler-'));
  const state = ['--persist-to', join(folder, 'state')];
  for (const [key, bytes] of Object.entries(options.photos)) {
    const file = join(folder, key);
    await writeFile(file, bytes);
    const put = wrangler(['r2', 'object', 'put', `elfin-photos/${key}`, '--file', file, '--local', ...state]);
    const [code] = await put.gone;
    if (code !== 0) throw new Error(`wrangler could not put ${key}:\n${put.output()}`);
  }
  const vars = Object.entries(options.vars).flatMap(([name, value]) => ['--var', `${name}:${value}`]);
  const { child, ready, gone, output } = wrangler(['dev', '--ip', '127.0.0.1', '--port', '0', ...state, ...vars]);
  const early = gone.then(() => Promise.reject(new Error(`wrangler dev ended:\n${output()}`)));
  early.catch(() => undefined);
  return {
    url: await Promise.race([ready, early]),
    async stop() {
      child.kill('SIGTERM');
      await gone;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
