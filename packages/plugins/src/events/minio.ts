import { RESTORED_MARK } from '../job/marks.ts';
import { compact, decodeFormKey, type EventSource, isRecord, recordsOf, type UploadEvent } from './event.ts';
import { BROKEN_KEY, commonFields, parseRecords } from './s3.ts';

/**
 * MinIO's webhook: S3's record with `eventSource` `minio:s3`, beside a decoded `Key`. Keys are form-encoded, `/` too.
 * It also tells content type and user metadata, so elfin's own results are recognised before the store is asked.
 */
export const minio: EventSource = {
  name: 'minio',
  is: (value) => recordsOf(value)?.some((record) => isRecord(record) && record.eventSource === 'minio:s3') ?? false,
  parse: (value, path) =>
    parseRecords('minio', recordsOf(value) ?? [], `${path}.Records`, (record) => {
      const { object } = record.s3;
      const key = decodeFormKey(object.key);
      if (key === undefined) return BROKEN_KEY;
      const marked = Object.keys(object.userMetadata ?? {}).some(
        (name) => name.toLowerCase() === `x-amz-meta-${RESTORED_MARK}`,
      );
      return compact<UploadEvent>({
        ...commonFields(record),
        source: 'minio',
        key,
        size: object.size ?? undefined,
        type: object.contentType ?? undefined,
        sequencer: object.sequencer ?? undefined,
        restored: marked ? true : undefined,
      });
    }),
};
