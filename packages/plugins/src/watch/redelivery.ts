import type { ElfinError } from '@elfin/core';

const FIRST_SECONDS = 10;
const MAX_SECONDS = 15 * 60;

/**
 * Seconds after which a message that failed is to come again: at once where only the time was too short or no retry helps
 * (it then soon lies with the dead letters), when its claim runs out where another worker has it, else later each time.
 */
export function delaySeconds(errors: readonly ElfinError[], deliveries: number): number {
  return Math.max(0, ...errors.map((error) => delayOf(error, deliveries)));
}

function delayOf({ code, retry, data }: ElfinError, deliveries: number): number {
  if (typeof data.retryAfterMs === 'number') return Math.ceil(data.retryAfterMs / 1000);
  if (code === 'DEADLINE_EXCEEDED' || (!retry && data.remedy !== 'person')) return 0;
  return Math.min(MAX_SECONDS, FIRST_SECONDS * 2 ** Math.min(deliveries - 1, 10));
}

/** What a message holds; what is no JSON is handed on as the text that it is, and told to be no event. */
export function parseBody(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
