import { z } from 'zod';
import { bareEtag, compact, type EventSource, isRecord, readBy, timeOf, type UploadEvent } from './event.ts';

const Envelope = z.looseObject({
  'detail-type': z.string(),
  time: z.string().optional(),
  detail: z.looseObject({
    bucket: z.looseObject({ name: z.string().min(1) }),
    object: z.looseObject({
      key: z.string().min(1),
      size: z.number().nonnegative().nullish(),
      etag: z.string().nullish(),
      'version-id': z.string().nullish(),
      sequencer: z.string().nullish(),
    }),
    reason: z.string().optional(),
  }),
});

const KINDS: Readonly<Record<string, UploadEvent['kind']>> = {
  'Object Created': 'created',
  'Object Restore Completed': 'created',
  'Object Deleted': 'removed',
};

/** S3's event on an EventBridge bus. Unlike S3's own notifications it carries keys as they are. */
export const eventbridge: EventSource = {
  name: 'eventbridge',
  is: (value) => isRecord(value) && value.source === 'aws.s3' && 'detail-type' in value,
  parse(value, path) {
    const read = readBy(Envelope, value, 'eventbridge', path);
    if ('item' in read) return [{ ...read.item, path }];
    const { detail, time, 'detail-type': type } = read.value;
    const event = compact<UploadEvent>({
      kind: KINDS[type] ?? 'other',
      name: detail.reason === undefined ? type : `${type}: ${detail.reason}`,
      source: 'eventbridge',
      bucket: detail.bucket.name,
      key: detail.object.key,
      size: detail.object.size ?? undefined,
      etag: bareEtag(detail.object.etag),
      versionId: detail.object['version-id'] ?? undefined,
      sequencer: detail.object.sequencer ?? undefined,
      time: timeOf(time),
    });
    return [{ path, event }];
  },
};
