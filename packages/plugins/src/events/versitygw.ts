import { compact, type EventSource, isRecord, recordsOf, type UploadEvent } from './event.ts';
import { commonFields, parseRecords } from './s3.ts';

const CONFIGURATIONS = new Set(['webhook-global', 'kafka-global', 'nats-global', 'rabbitmq-global']);

/** versitygw calls itself `aws:s3`; the configuration's name and the `arn:aws:s3:::/bucket/key` give it away. */
function isVersitygw(record: unknown): boolean {
  if (!isRecord(record) || !isRecord(record.s3)) return false;
  const { configurationId, bucket } = record.s3;
  if (typeof configurationId === 'string' && CONFIGURATIONS.has(configurationId)) return true;
  return isRecord(bucket) && typeof bucket.arn === 'string' && bucket.arn.startsWith('arn:aws:s3:::/');
}

/**
 * versitygw's global webhook; older releases send the records as a bare array. Unlike S3 it sends keys as they are, and
 * quotes ETags. The size of a multipart upload or copy is 0, so 0 means unknown. Its `sequencer` is a counter of the
 * process that starts anew with it, so it orders nothing and is left out.
 */
export const versitygw: EventSource = {
  name: 'versitygw',
  is: (value) => (Array.isArray(value) ? value.some(isVersitygw) : (recordsOf(value)?.some(isVersitygw) ?? false)),
  parse: (value, path) =>
    parseRecords(
      'versitygw',
      Array.isArray(value) ? value : (recordsOf(value) ?? []),
      Array.isArray(value) ? path : `${path}.Records`,
      (record) =>
        compact<UploadEvent>({
          ...commonFields(record),
          source: 'versitygw',
          key: record.s3.object.key,
          size: record.s3.object.size || undefined,
        }),
    ),
};
