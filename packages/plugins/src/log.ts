import { type ElfinError, sha256 } from '@elfin/core';
import type { UploadEvent } from './events/event.ts';
import type { Outcome } from './job/outcome.ts';

/** One line of an event's story: what was received, tried again, and what became of it. */
export interface UploadLogEntry {
  /** ISO 8601. */
  readonly time: string;
  readonly level: 'info' | 'warn' | 'error';
  readonly event: 'received' | 'retried' | Outcome['status'];
  /** The same for every delivery of one upload: 16 hexadecimal digits of its bucket, key and version. */
  readonly id: string;
  readonly source?: string | undefined;
  readonly bucket?: string | undefined;
  readonly key?: string | undefined;
  readonly size?: number | undefined;
  /** Bucket and key of the result, or of the quarantine's entry. */
  readonly result?: string | undefined;
  /** Why an event was skipped. */
  readonly reason?: string | undefined;
  readonly code?: string | undefined;
  readonly message?: string | undefined;
  /** Whether coming again may help, of a failure. */
  readonly retry?: boolean | undefined;
  /** Milliseconds from the beginning of the work to its outcome. */
  readonly ms?: number | undefined;
  /** What the restorer said of the restoration. */
  readonly report?: Readonly<Record<string, unknown>> | undefined;
}

/** Takes each entry as it comes; must not throw. */
export type UploadLog = (entry: UploadLogEntry) => void;

/** Names one upload in logs, the same whoever tells of it and however often. */
export async function uploadId({ bucket, key, etag, versionId }: UploadEvent): Promise<string> {
  return (await sha256(new TextEncoder().encode(JSON.stringify([bucket, key, etag ?? versionId ?? ''])))).slice(0, 16);
}

const LEVELS: Readonly<Record<UploadLogEntry['event'], UploadLogEntry['level']>> = {
  received: 'info',
  retried: 'warn',
  restored: 'info',
  done: 'info',
  skipped: 'info',
  gone: 'info',
  quarantined: 'warn',
  failed: 'error',
};

/** An entry about one event. */
export function logEntry(
  what: UploadLogEntry['event'],
  id: string,
  event: UploadEvent | undefined,
  facts: Partial<UploadLogEntry> = {},
): UploadLogEntry {
  const { source, bucket, key, size } = event ?? {};
  return { time: new Date().toISOString(), level: LEVELS[what], event: what, id, source, bucket, key, size, ...facts };
}

/** What an outcome adds to its entry. */
export function outcomeFacts(outcome: Outcome): Partial<UploadLogEntry> {
  switch (outcome.status) {
    case 'restored':
      return { result: `${outcome.bucket}/${outcome.key}`, report: outcome.report };
    case 'done':
      return { result: `${outcome.bucket}/${outcome.key}` };
    case 'skipped':
      return { reason: outcome.reason };
    case 'quarantined':
      return { result: outcome.key, ...errorFacts(outcome.error) };
    default:
      return errorFacts(outcome.error);
  }
}

export const errorFacts = ({ code, message, retry }: ElfinError): Partial<UploadLogEntry> => ({ code, message, retry });

/** Writes entries as lines of JSON, for CloudWatch, Loki and the like. */
export const jsonLog =
  (write: (line: string) => void): UploadLog =>
  (entry) =>
    write(JSON.stringify(entry));
