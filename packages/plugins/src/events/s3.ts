import { z } from 'zod';
import {
  bareEtag,
  compact,
  decodeFormKey,
  type EventSource,
  type Item,
  invalid,
  isRecord,
  nameAndKind,
  readBy,
  recordsOf,
  timeOf,
  type UploadEvent,
} from './event.ts';

/**
 * The record that S3, MinIO and versitygw share. Only what is used is asked for: later minor versions add fields,
 * `sourceIPAddress` may be IPv6, identities differ from server to server.
 */
export const S3Record = z.looseObject({
  eventVersion: z.string().regex(/^2\.\d+$/, 'only major version 2 is understood'),
  eventSource: z.string(),
  eventTime: z.string().optional(),
  eventName: z.string().min(1),
  s3: z.looseObject({
    bucket: z.looseObject({ name: z.string().min(1) }),
    object: z.looseObject({
      key: z.string().min(1),
      size: z.number().nonnegative().nullish(),
      eTag: z.string().nullish(),
      versionId: z.string().nullish(),
      sequencer: z.string().nullish(),
      contentType: z.string().nullish(),
      userMetadata: z.record(z.string(), z.string()).nullish(),
    }),
  }),
});
export type S3Record = z.infer<typeof S3Record>;

/** What every server's record says in the same way; the key, the size and the order are each server's own. */
export function commonFields(record: S3Record) {
  const { object, bucket } = record.s3;
  return {
    ...nameAndKind(record.eventName),
    bucket: bucket.name,
    etag: bareEtag(object.eTag),
    versionId: object.versionId === '' || object.versionId === 'null' ? undefined : (object.versionId ?? undefined),
    time: timeOf(record.eventTime),
  };
}

/** Reads each record of an S3-like envelope by `toEvent`, which answers a string where the record is malformed. */
export function parseRecords(
  source: string,
  records: readonly unknown[],
  path: string,
  toEvent: (record: S3Record) => UploadEvent | { readonly field: string; readonly reason: string },
): readonly Item[] {
  return records.map((value, index): Item => {
    const at = `${path}[${index}]`;
    const read = readBy(S3Record, value, source, at);
    if ('item' in read) return { ...read.item, path: at };
    const event = toEvent(read.value);
    if ('field' in event) return { ...invalid(source, `${at}.${event.field}`, event.reason), path: at };
    return { path: at, event };
  });
}

/** The error of a key whose form encoding is broken. */
export const BROKEN_KEY = { field: 's3.object.key', reason: 'the key is not form-encoded text' } as const;

export const looksLikeS3 = (record: unknown): boolean => isRecord(record) && isRecord(record.s3);

/**
 * Amazon S3's own notification, straight to Lambda or inside SQS and SNS. Keys are form-encoded.
 * `s3:TestEvent`, which S3 sends when a notification is configured, has no records and asks for nothing.
 */
export const s3: EventSource = {
  name: 's3',
  is: (value) => (isRecord(value) && value.Event === 's3:TestEvent') || (recordsOf(value)?.some(looksLikeS3) ?? false),
  parse(value, path) {
    const records = recordsOf(value);
    if (!records) return [{ path, ignored: 's3:TestEvent' }];
    return parseRecords('s3', records, `${path}.Records`, (record) => {
      const { object } = record.s3;
      const key = decodeFormKey(object.key);
      if (key === undefined) return BROKEN_KEY;
      return compact<UploadEvent>({
        ...commonFields(record),
        source: 's3',
        key,
        size: object.size ?? undefined,
        sequencer: object.sequencer ?? undefined,
      });
    });
  },
};
