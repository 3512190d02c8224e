import { ElfinError, type ErrorData, isElfinError } from '@elfin/core';

/** Exit codes: every input done, some inputs failed, wrong usage or configuration; ended by SIGINT or SIGTERM, as shells count. */
export const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130, terminated: 143 } as const;
/** One of {@link EXIT}. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A failure as `--json` prints it. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly data?: ErrorData;
}

/** What the SDK's messages call options, and what they are called here. */
const SPELLINGS = [
  ['limits.pixels', '--max-pixels'],
  ['limits.bytes', '--max-bytes'],
  ["(animated: 'first')", '(--animated first)'],
  ['ask for it to be replaced', 'give --force to replace it'],
] as const;

/** Turns anything thrown into a code and one line. What is not ours is named INTERNAL, never hidden. */
export function failureOf(error: unknown): Failure {
  if (isElfinError(error)) {
    const bare = Object.keys(error.data).length === 0;
    const message = SPELLINGS.reduce((text, [sdk, flag]) => text.replace(sdk, flag), oneLine(error.message));
    return { code: error.code, message, ...(bare ? {} : { data: error.data }) };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'INTERNAL', message: `${oneLine(message)} (please report this, with --debug)` };
}

/** Wrong flags and configuration end with 2, everything else that fails with 1. */
export function exitCodeOf(error: unknown): ExitCode {
  if (!isElfinError(error)) return EXIT.failed;
  return error.code === 'OPTION_INVALID' || error.code === 'CONFIG_INVALID' ? EXIT.usage : EXIT.failed;
}

/** `elfin: <subject>: <message> [CODE]` on standard error; with `debug`, the stack and its causes below. */
export function printFailure(error: unknown, { subject, debug }: { subject?: string; debug: boolean }): void {
  const { code, message } = failureOf(error);
  const where = subject !== undefined && !message.includes(subject) ? `${subject}: ` : '';
  process.stderr.write(`elfin: ${where}${message} [${code}]\n`);
  if (!debug) return;
  for (let link: unknown = error; link instanceof Error; link = link.cause) process.stderr.write(`${link.stack}\n`);
}

/** A mistake in the command's own words. */
export function usageError(message: string): ElfinError {
  return new ElfinError('OPTION_INVALID', message);
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ').trim();
}
