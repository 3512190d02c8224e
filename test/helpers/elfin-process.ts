import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));

/** `elfin serve` or `elfin worker` as a process of its own. */
export interface ElfinProcess {
  readonly url: string;
  /** Standard error so far. */
  errors(): string;
  /** Ends it; resolves to its exit code, null where a signal ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** Starts it from the sources; resolves once it listens. Its environment holds no `ELFIN_*` but those given. */
export async function startElfin(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<ElfinProcess> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('ELFIN_'));
  const child = spawn(process.execPath, ['--conditions=@elfin/source', MAIN, ...words, '--json'], {
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  child.stderr.on('data', (chunk: Buffer) => {
    text = (text + chunk).slice(-20_000);
  });
  const gone = once(child, 'exit') as Promise<[number | null]>;
  const early = gone.then(([code]) => Promise.reject(new Error(`elfin ${words[0]} ended with ${code}:\n${text}`)));
  early.catch(() => undefined);
  const [line] = (await Promise.race([once(createInterface({ input: child.stdout }), 'line'), early])) as [string];
  return {
    url: (JSON.parse(line) as { url: string }).url,
    errors: () => text,
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      return (await gone)[0];
    },
  };
}
