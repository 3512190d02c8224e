import { z } from 'zod';
import { type EventSource, type Item, invalid, isRecord, type ParseNested, readBy, recordsOf } from './event.ts';

const Notification = z.looseObject({ Message: z.string() });
const LambdaRecord = z.looseObject({ Sns: Notification });

const TYPES = new Set(['Notification', 'SubscriptionConfirmation', 'UnsubscribeConfirmation']);
const isLambda = (record: unknown) => isRecord(record) && record.EventSource === 'aws:sns';
const isPosted = (value: unknown) =>
  isRecord(value) && typeof value.Type === 'string' && TYPES.has(value.Type) && typeof value.TopicArn === 'string';

/** The text of a message, read as an envelope of its own. */
export function parseText(source: string, text: string, path: string, nested: ParseNested): readonly Item[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [invalid(source, path, 'the text is not JSON')];
  }
  return nested(value, path);
}

/**
 * A message of Amazon SNS: to Lambda (`Records[].Sns`), or as SNS posts it to HTTP and to SQS without raw delivery.
 * A subscription's `SubscribeURL` is never fetched: whoever may post here must not make us call an address of his.
 */
export const sns: EventSource = {
  name: 'sns',
  is: (value) => isPosted(value) || (recordsOf(value)?.some(isLambda) ?? false),
  parse(value, path, nested) {
    if (isPosted(value)) return parseNotification(value, path, nested);
    return (recordsOf(value) ?? []).flatMap((record, index) => {
      const at = `${path}.Records[${index}]`;
      const read = readBy(LambdaRecord, record, 'sns', at);
      return 'item' in read ? [{ ...read.item, path: at }] : parseNotification(read.value.Sns, `${at}.Sns`, nested);
    });
  },
};

function parseNotification(value: unknown, path: string, nested: ParseNested): readonly Item[] {
  if (isRecord(value) && typeof value.Type === 'string' && value.Type !== 'Notification') {
    return [{ path, ignored: `sns:${value.Type}` }];
  }
  const read = readBy(Notification, value, 'sns', path);
  if ('item' in read) return [{ ...read.item, path }];
  return parseText('sns', read.value.Message, `${path}.Message`, nested);
}
