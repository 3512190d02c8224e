import type { AccessEntry } from '../http/log.ts';

/** How requests are written down: a line of JSON each, or one for people. */
export type LogFormat = 'json' | 'text';

/**
 * Writes one line a request: what was asked, what became of it, how long which part took, and of a failure what the caller was not
 * told. Never a query, which holds signatures.
 *
 * @example
 * const edge = createEdge({ ...options, log: createAccessLog('json', (line) => process.stderr.write(line)) });
 */
export function createAccessLog(format: LogFormat, write: (line: string) => void): (entry: AccessEntry) => void {
  const spell = format === 'json' ? toJson : toText;
  return (entry) => write(`${spell(entry)}\n`);
}

/** Failures of the server's own are errors, a caller's are warnings. */
const levelOf = ({ status }: AccessEntry) => (status >= 500 ? 'error' : status >= 400 ? 'warn' : 'info');

const toJson = (entry: AccessEntry) =>
  JSON.stringify({ time: new Date().toISOString(), level: levelOf(entry), ...entry });

function toText(entry: AccessEntry): string {
  const { status, method, path, ms, cache, task, restore, error, id, spans } = entry;
  const parts = Object.entries(spans).map(([name, span]) => `${name}=${span}`);
  return [
    new Date().toISOString(),
    levelOf(entry),
    String(status),
    method,
    // A path is what a stranger wrote: one line stays one line.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
    path.replace(/[\u0000-\u001f\u007f]/g, '?'),
    `${ms}ms`,
    `cache=${cache}`,
    ...(task ? [`task=${task}`] : []),
    ...(restore ? [`restore=${restore}`] : []),
    ...parts,
    ...(error ? [`${error.code}: ${error.message}${error.cause ? ` (${error.cause})` : ''}`] : []),
    `id=${id}`,
  ].join(' ');
}
