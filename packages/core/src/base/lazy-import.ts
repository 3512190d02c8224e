import { ElfinError } from './errors.ts';

/**
 * A part of elfin's own code that is a file of its own where a bundler makes it one. Errors: NETWORK_FAILED; `restart` tells
 * that browsers may remember the failure for as long as the worker lives.
 */
export async function loadPart<T>(part: Promise<T>): Promise<T> {
  try {
    return await part;
  } catch (cause) {
    throw new ElfinError(
      'NETWORK_FAILED',
      'A part of elfin itself could not be fetched: check the connection and try again.',
      { cause, data: { restart: true } },
    );
  }
}
