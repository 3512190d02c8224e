import { z } from 'zod';
import { bareEtag, compact, type EventSource, isRecord, readBy, timeOf, type UploadEvent } from './event.ts';

const Message = z.looseObject({
  action: z.string(),
  bucket: z.string().min(1),
  object: z.looseObject({
    key: z.string().min(1),
    size: z.number().nonnegative().nullish(),
    eTag: z.string().nullish(),
  }),
  eventTime: z.string().optional(),
});

const KINDS: Readonly<Record<string, UploadEvent['kind']>> = {
  PutObject: 'created',
  CopyObject: 'created',
  CompleteMultipartUpload: 'created',
  DeleteObject: 'removed',
  LifecycleDeletion: 'removed',
};

/** The body of R2's event notification in a Cloudflare Queue. Keys as they are; there is no sequencer. */
export const r2: EventSource = {
  name: 'r2',
  is: (value) =>
    isRecord(value) && typeof value.action === 'string' && typeof value.bucket === 'string' && isRecord(value.object),
  parse(value, path) {
    const read = readBy(Message, value, 'r2', path);
    if ('item' in read) return [{ ...read.item, path }];
    const { action, bucket, object, eventTime } = read.value;
    const event = compact<UploadEvent>({
      kind: KINDS[action] ?? 'other',
      name: action,
      source: 'r2',
      bucket,
      key: object.key,
      size: object.size ?? undefined,
      etag: bareEtag(object.eTag),
      time: timeOf(eventTime),
    });
    return [{ path, event }];
  },
};
