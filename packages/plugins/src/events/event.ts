import { ElfinError } from '@elfin/core';
import type { z } from 'zod';

/** What one record of an envelope says has happened to one object. A hint: the store is asked before anything is done. */
export interface UploadEvent {
  /** `other`: tagging, lifecycle and the like; nothing to restore. */
  readonly kind: 'created' | 'removed' | 'other';
  /** The sender's own word for it, without its `s3:` prefix: `ObjectCreated:Put`, `PutObject`. */
  readonly name: string;
  /** The parser that read it: `s3`, `minio`, `r2`, … */
  readonly source: string;
  readonly bucket: string;
  /** As the object is really called: no form or percent encoding left. */
  readonly key: string;
  /** Bytes; absent where the sender does not know. */
  readonly size?: number;
  readonly type?: string;
  /** Bare, without quotes. */
  readonly etag?: string;
  readonly versionId?: string;
  /** Orders the events of one key, see `sequencer.ts`. */
  readonly sequencer?: string;
  /** Milliseconds since the epoch. */
  readonly time?: number;
  /** The result of an earlier restoration, by the marker in its metadata: not to be restored again. */
  readonly restored?: boolean;
}

/**
 * One record of an envelope. Every record becomes exactly one item: an event, a reason why there is nothing to do,
 * or an error (EVENT_INVALID, EVENT_UNKNOWN). None is dropped.
 */
export type Item = {
  /** Where in the envelope, as a JSON path: `$.Records[2].body.Records[0]`. */
  readonly path: string;
  /** What the sender calls the message that holds it: an SQS `messageId`, a Batch Operations `taskId`. */
  readonly id?: string;
} & ({ readonly event: UploadEvent } | { readonly ignored: string } | { readonly error: ElfinError });

/** Reads a value that was found inside another envelope. */
export type ParseNested = (value: unknown, path: string) => readonly Item[];

/** One kind of envelope. Both functions are pure, and neither throws. */
export interface EventSource {
  readonly name: string;
  /** Whether `value` is this kind of envelope, judged by the fields that tell it from all others. */
  is(value: unknown): boolean;
  parse(value: unknown, path: string, nested: ParseNested): readonly Item[];
}

/** The item for a record that is not what it should be; the message names the path to the field. */
export function invalid(source: string, path: string, reason: string, id?: string): Item {
  const error = new ElfinError('EVENT_INVALID', `The ${source} event is malformed at ${path}: ${reason}.`, {
    data: { source, path },
  });
  return { path, ...(id !== undefined && { id }), error };
}

/** Reads `value` by a schema, or tells which field is wrong. */
export function readBy<T>(
  schema: z.ZodType<T>,
  value: unknown,
  source: string,
  path: string,
  id?: string,
): { readonly value: T } | { readonly item: Item } {
  const result = schema.safeParse(value);
  if (result.success) return { value: result.data };
  const issue = result.error.issues[0];
  return { item: invalid(source, join(path, issue?.path ?? []), lower(issue?.message ?? 'unreadable'), id) };
}

/** `$.Records` and `[2, 's3']` → `$.Records[2].s3`. */
export function join(path: string, parts: readonly PropertyKey[]): string {
  return parts.reduce<string>((all, part) => all + (typeof part === 'number' ? `[${part}]` : `.${String(part)}`), path);
}

const lower = (text: string) => text.charAt(0).toLowerCase() + text.slice(1).replace(/\.$/, '');

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The records of `{ "Records": […] }`, or undefined where it is no such thing. */
export function recordsOf(value: unknown): readonly unknown[] | undefined {
  return isRecord(value) && Array.isArray(value.Records) && value.Records.length > 0 ? value.Records : undefined;
}

/** S3 and MinIO send keys form-encoded: `red+flower.jpg` is `red flower.jpg`. Undefined where an escape is broken. */
export function decodeFormKey(key: string): string | undefined {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

/** `"abc"` and `W/"abc"` → `abc`; nothing where nothing is. */
export function bareEtag(etag: string | null | undefined): string | undefined {
  const bare = etag?.replace(/^W\//, '').replace(/^"(.*)"$/, '$1');
  return bare === '' ? undefined : bare;
}

/** Milliseconds of an ISO 8601 time; undefined where it is none. */
export function timeOf(text: string | undefined): number | undefined {
  const time = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

/** Leaves out what is undefined, so that optional fields are absent rather than empty. */
export function compact<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

/** `s3:ObjectCreated:Put` → name and kind. */
export function nameAndKind(name: string): Pick<UploadEvent, 'name' | 'kind'> {
  const bare = name.replace(/^s3:/, '');
  // What comes back out of an archive can be read from then on, as if it had just come.
  if (/^ObjectCreated|^ObjectRestore:Completed/.test(bare)) return { name: bare, kind: 'created' };
  return { name: bare, kind: bare.startsWith('ObjectRemoved') ? 'removed' : 'other' };
}
