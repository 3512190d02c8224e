import { z } from 'zod';
import { type EventSource, isRecord, readBy, recordsOf } from './event.ts';
import { parseText } from './sns.ts';

const Record = z.looseObject({ messageId: z.string().min(1), body: z.string() });

const isSqs = (record: unknown) =>
  isRecord(record) && (record.eventSource === 'aws:sqs' || ('messageId' in record && 'body' in record));

/**
 * A batch of Amazon SQS for Lambda. Each body is an envelope of its own: S3's notification, SNS's around it, or
 * EventBridge's. Items bear their message's id, for `batchItemFailures`.
 */
export const sqs: EventSource = {
  name: 'sqs',
  is: (value) => recordsOf(value)?.some(isSqs) ?? false,
  parse(value, path, nested) {
    return (recordsOf(value) ?? []).flatMap((record, index) => {
      const at = `${path}.Records[${index}]`;
      const claimed = isRecord(record) && typeof record.messageId === 'string' ? record.messageId : undefined;
      const read = readBy(Record, record, 'sqs', at, claimed);
      if ('item' in read) return [{ ...read.item, path: at }];
      const { messageId: id, body } = read.value;
      return parseText('sqs', body, `${at}.body`, nested).map((item) => ({ ...item, id }));
    });
  },
};
