import { usageError } from '../report/failure.ts';

/** Flags of every verb that listens. */
export const LISTEN_FLAGS = {
  host: { type: 'string', default: '127.0.0.1', valueHint: 'address', description: 'Address to listen on' },
  port: { type: 'string', valueHint: '0…65535', description: 'Port, else $PORT; 0 takes a free one' },
} as const;

/** The flag, else `PORT`, which platforms that run containers set, else `otherwise`. Errors: OPTION_INVALID. */
export function portFlag(flag: string | undefined, otherwise: number): number {
  const [name, text] = flag === undefined ? ['PORT', process.env.PORT] : ['--port', flag];
  if (text === undefined || (flag === undefined && text === '')) return otherwise;
  const port = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw usageError(`${name} is 0…65535, not "${text}".`);
  return port;
}

/** Serves until SIGINT or SIGTERM, then closes: what was accepted is finished. A second signal ends the process at once. */
export async function untilStopped(close: () => Promise<void>): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  await close();
}

/** One line for people, or one JSON line for programs, that the server listens. */
export function announce(
  facts: { readonly name: string; readonly url: string } & Record<string, unknown>,
  json: boolean,
): void {
  const { name, url, ...more } = facts;
  const told = Object.entries(more).map(([key, value]) => `, ${key} ${String(value)}`);
  process.stdout.write(json ? `${JSON.stringify(facts)}\n` : `${name} listens on ${url}${told.join('')}\n`);
}
