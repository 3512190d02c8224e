import { readFileSync } from 'node:fs';
import { isElfinError } from '@elfin/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EventSource, Item, UploadEvent } from './event.ts';
import { EVENT_SOURCES, parseEnvelope } from './parse.ts';

// biome-ignore lint/suspicious/noExplicitAny: envelopes are mutilated at any depth.
type Loose = any;

const fixture = (path: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../../../test/fixtures/events/${path}.json`, import.meta.url), 'utf8'));

const only = (items: readonly Item[]): Item => {
  expect(items).toHaveLength(1);
  return items[0]!;
};
const eventOf = (path: string): UploadEvent => {
  const item = only(parseEnvelope(fixture(path)));
  if (!('event' in item)) throw new Error(JSON.stringify(item));
  return item.event;
};

const MINIO_KEYS = {
  put: 'plain.jpg',
  'put-space': 'dir/with space.jpg',
  'put-plus': 'dir/a+b.jpg',
  'put-unicode': 'dir/ünï-写真.jpg',
  'put-percent-2f': 'dir/100%2Fdone.jpg',
  multipart: 'big/multi part.jpg',
  copy: 'copied.jpg',
};

describe('envelopes from real servers and public descriptions', () => {
  it.each(Object.entries(MINIO_KEYS))('minio %s', (name, key) => {
    const event = eventOf(`minio/${name}`);
    expect(event).toMatchObject({ kind: 'created', source: 'minio', bucket: 'photos', key, type: 'image/jpeg' });
    expect(event.etag).toMatch(/^[0-9a-f]{32}(-2)?$/);
    expect(event.sequencer).toMatch(/^[0-9A-F]{16}$/);
    expect(event.restored).toBeUndefined();
  });

  it.each(Object.entries(MINIO_KEYS))('versitygw %s', (name, key) => {
    const event = eventOf(`versitygw/${name}`);
    expect(event).toMatchObject({ kind: 'created', source: 'versitygw', bucket: 'photos', key });
    expect(event.etag).toMatch(/^[0-9a-f]{32}(-2)?$/);
    expect(event).not.toHaveProperty('sequencer');
    expect('size' in event).toBe(!['multipart', 'copy'].includes(name));
    expect(event).not.toHaveProperty('versionId');
  });

  it('reads the bare array of older versitygw releases', () => {
    expect(eventOf('versitygw/bare-array')).toEqual(eventOf('versitygw/put'));
  });

  it('tells deletions from uploads', () => {
    for (const path of ['s3/delete', 'versitygw/delete', 'eventbridge/object-deleted', 'r2/DeleteObject']) {
      expect(eventOf(path).kind, path).toBe('removed');
    }
  });

  it('takes a test event and a subscription as nothing to do', () => {
    expect(only(parseEnvelope(fixture('s3/test-event')))).toEqual({ path: '$', ignored: 's3:TestEvent' });
    expect(only(parseEnvelope(fixture('versitygw/test-event')))).toEqual({ path: '$', ignored: 's3:TestEvent' });
    const subscription = only(parseEnvelope(fixture('sns/subscription-confirmation')));
    expect(subscription).toEqual({ path: '$', ignored: 'sns:SubscriptionConfirmation' });
  });

  it('decodes the keys of S3, in whichever envelope they come', () => {
    const event = eventOf('s3/put');
    expect(event).toEqual({
      kind: 'created',
      name: 'ObjectCreated:Put',
      source: 's3',
      bucket: 'photos',
      key: 'incoming/red flower+1 ü.jpg',
      size: 1024,
      etag: 'd41d8cd98f00b204e9800998ecf8427e',
      sequencer: '0055AED6DCD90281E5',
      time: Date.UTC(2026, 2, 4, 5, 6, 7, 89),
    });
    const items = ['sns/lambda', 'sqs/raw', 'sqs/sns-wrapped'].map((path) => only(parseEnvelope(fixture(path))));
    expect(items.map((item) => 'event' in item && item.event)).toEqual([event, event, event]);
    expect(items.map(({ id }) => id)).toEqual([
      undefined,
      '059f36b4-87a3-44ab-83d2-661975830a7d',
      '059f36b4-87a3-44ab-83d2-661975830a7e',
    ]);
    expect(items[2]!.path).toBe('$.Records[0].body.Message.Records[0]');
  });

  it('takes a later minor version, an IPv6 address and a version id', () => {
    expect(eventOf('s3/versioned-ipv6')).toMatchObject({
      key: 'incoming/100%2Fdone.jpg',
      versionId: '096fKKXTRTtl3on89fVO.nfljtsv6qko',
    });
  });

  it('leaves the keys of EventBridge and R2 as they are', () => {
    expect(eventOf('eventbridge/object-created')).toMatchObject({ key: 'incoming/red flower+1 ü.jpg', size: 5 });
    expect(eventOf('sqs/eventbridge')).toEqual(eventOf('eventbridge/object-created'));
    for (const action of ['PutObject', 'CopyObject', 'CompleteMultipartUpload']) {
      expect(eventOf(`r2/${action}`)).toMatchObject({ kind: 'created', key: 'incoming/red flower+1 ü.jpg' });
    }
  });

  it('reads both schemas of Batch Operations', () => {
    const [first] = parseEnvelope(fixture('batch-operations/schema-1'));
    expect(first).toMatchObject({
      id: 'dGFza2lkZ29lc2hlcmUK',
      event: { bucket: 'photos', key: 'incoming/red flower.jpg', versionId: '1' },
    });
    const second = parseEnvelope(fixture('batch-operations/schema-2'));
    expect(second.map(({ id }) => id)).toEqual(['dGFza2lkZ29lc2hlcmUx', 'dGFza2lkZ29lc2hlcmUy']);
    expect(second[0]).toMatchObject({ event: { bucket: 'photos', key: 'incoming/ü.jpg' } });
  });

  it('keeps the good records of a batch with a bad one', () => {
    const items = parseEnvelope(fixture('sqs/mixed-with-poison'));
    expect(
      items.map(
        (item) => Object.keys(item).at(-1) && ('event' in item ? 'event' : 'error' in item ? 'error' : 'ignored'),
      ),
    ).toEqual(['event', 'error', 'ignored']);
    expect(items[1]).toMatchObject({ id: '00000000-0000-4000-8000-000000000002', path: '$.Records[1].body' });
  });
});

describe('malformed events', () => {
  const broken = (change: (record: Loose) => void) => {
    const envelope = fixture('s3/put') as Loose;
    change(envelope.Records[0]);
    const item = only(parseEnvelope(envelope));
    return 'error' in item ? item.error : undefined;
  };

  it.each([
    ['$.Records[0].s3.object.key', (record: Loose) => delete record.s3.object.key],
    ['$.Records[0].s3.bucket.name', (record: Loose) => (record.s3.bucket.name = '')],
    ['$.Records[0].eventVersion', (record: Loose) => (record.eventVersion = '3.0')],
    ['$.Records[0].s3.object.size', (record: Loose) => (record.s3.object.size = -1)],
    ['$.Records[0].s3.object.key', (record: Loose) => (record.s3.object.key = 'broken%E0%A4.jpg')],
  ])('names %s', (path, change) => {
    const error = broken(change);
    expect(error?.code).toBe('EVENT_INVALID');
    expect(error?.message).toContain(path);
    expect(error?.data.path).toBe(path);
  });

  it('does not know the envelopes of others', () => {
    for (const value of [null, 7, 'text', [], {}, { Records: [] }, { Records: [{ eventSource: 'aws:kinesis' }] }]) {
      expect(only(parseEnvelope(value))).toMatchObject({ path: '$', error: { code: 'EVENT_UNKNOWN' } });
    }
  });

  it('stops at envelopes nested without end', () => {
    let value: unknown = fixture('s3/put');
    for (let depth = 0; depth < 8; depth++) {
      value = { Type: 'Notification', TopicArn: 'arn', Message: JSON.stringify(value) };
    }
    expect(only(parseEnvelope(value))).toMatchObject({ error: { code: 'EVENT_UNKNOWN' } });
  });

  it('survives sources that throw', () => {
    const bad: EventSource = {
      name: 'bad',
      is: (value) => value === 'bad',
      parse() {
        throw new Error('oops');
      },
    };
    expect(only(parseEnvelope('bad', [bad]))).toMatchObject({ error: { code: 'EVENT_INVALID' } });
  });
});

describe('any value', () => {
  const names = [
    's3/put',
    'sns/lambda',
    'sqs/mixed-with-poison',
    'batch-operations/schema-2',
    'minio/put',
    'versitygw/put',
    'r2/PutObject',
    'eventbridge/object-created',
  ];

  it('becomes items, each an event, a reason or a coded error', () => {
    const anything = fc.oneof(
      fc.jsonValue(),
      fc.record({
        Records: fc.array(
          fc.oneof(
            fc.jsonValue(),
            fc.record({
              s3: fc.jsonValue(),
              eventSource: fc.constantFrom('aws:s3', 'minio:s3', 'aws:sqs'),
              body: fc.json(),
              messageId: fc.string(),
            }),
          ),
        ),
      }),
    );
    fc.assert(
      fc.property(anything, (value) => {
        const items = parseEnvelope(value);
        expect(items.length).toBeGreaterThan(0);
        for (const item of items) {
          if ('error' in item) expect(isElfinError(item.error)).toBe(true);
          else if ('event' in item) expect(item.event.key.length * item.event.bucket.length).toBeGreaterThan(0);
          else expect(item.ignored).toBeTypeOf('string');
        }
      }),
    );
  });

  it('loses no record however a real envelope is mutilated', () => {
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.nat(), fc.jsonValue(), (name, where, replacement) => {
        const envelope = fixture(name);
        const places: [Loose, string | number][] = [];
        const walk = (value: Loose) => {
          for (const key of Object.keys(value)) {
            places.push([value, key]);
            if (typeof value[key] === 'object' && value[key] !== null) walk(value[key]);
          }
        };
        walk(envelope);
        const [holder, key] = places[where % places.length]!;
        holder[key] = replacement;
        const records = (envelope as Loose).Records ?? (envelope as Loose).tasks;
        const expected = Array.isArray(records) && records.length > 0 ? records.length : 1;
        const items = parseEnvelope(envelope);
        const known = !items.some(
          (item) => 'error' in item && item.error.code === 'EVENT_UNKNOWN' && item.path === '$',
        );
        expect(items.length).toBeGreaterThanOrEqual(known ? expected : 1);
      }),
      { numRuns: 500 },
    );
  });

  it('is recognised by one source, the particular before the general', () => {
    expect(EVENT_SOURCES.find((source) => source.is(fixture('minio/put')))?.name).toBe('minio');
    expect(EVENT_SOURCES.find((source) => source.is(fixture('versitygw/put')))?.name).toBe('versitygw');
    expect(EVENT_SOURCES.find((source) => source.is(fixture('s3/put')))?.name).toBe('s3');
  });
});
