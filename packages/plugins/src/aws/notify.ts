import { ElfinError } from '@elfin/core';
import type { S3Credentials } from '@elfin/storage';
import type { Notify } from '../steps/notify.ts';
import { createAwsCaller } from './call.ts';
import { createSqsQueue } from './sqs.ts';

export interface AwsNotifyOptions {
  /** `arn:aws:sns:…:topic`, `arn:aws:events:…:event-bus/name`, or the URL of an SQS queue. */
  readonly target: string;
  readonly credentials: S3Credentials | (() => Promise<S3Credentials>);
  /** Instead of Amazon's own. */
  readonly endpoint?: string | undefined;
}

/**
 * Tells of results and failures by SNS, EventBridge or SQS. The notification's id goes along, so that receivers drop
 * repetitions: as SNS attribute `id`, as `id` in EventBridge's detail and in SQS's body.
 *
 * @throws CONFIG_INVALID for a target that is none of the three; the notification itself throws NETWORK_FAILED and
 *   CREDENTIALS_EXPIRED, upon which the event comes again.
 */
export function createAwsNotifier({ target, credentials, endpoint }: AwsNotifyOptions): Notify {
  const [, service, region = ''] = /^arn:[\w-]+:(sns|events):([\w-]+):\d*:.+$/.exec(target) ?? [];
  if (service === 'sns') return bySns(target, region, credentials, endpoint);
  if (service === 'events') return byEventBridge(target, region, credentials, endpoint);
  if (/^https?:\/\//.test(target)) {
    const queue = createSqsQueue({ queueUrl: target, credentials });
    return (id, notification, signal) => queue.send(JSON.stringify({ id, ...notification }), signal);
  }
  const message = `"${target}" is no target of notifications: give an SNS topic's ARN, an event bus's ARN, or a queue's URL.`;
  throw new ElfinError('CONFIG_INVALID', message);
}

type Credentials = AwsNotifyOptions['credentials'];

function bySns(topic: string, region: string, credentials: Credentials, endpoint?: string): Notify {
  const call = createAwsCaller({
    endpoint: endpoint ?? `https://sns.${region}.amazonaws.com/`,
    region,
    service: 'sns',
    credentials,
  });
  return async (id, notification, signal) => {
    const attribute = 'MessageAttributes.entry';
    const fields = {
      Action: 'Publish',
      Version: '2010-03-31',
      TopicArn: topic,
      Message: JSON.stringify(notification),
      [`${attribute}.1.Name`]: 'id',
      [`${attribute}.1.Value.DataType`]: 'String',
      [`${attribute}.1.Value.StringValue`]: id,
      [`${attribute}.2.Name`]: 'type',
      [`${attribute}.2.Value.DataType`]: 'String',
      [`${attribute}.2.Value.StringValue`]: notification.type,
    };
    const headers = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' };
    await call({ body: new URLSearchParams(fields).toString(), headers, signal });
  };
}

function byEventBridge(bus: string, region: string, credentials: Credentials, endpoint?: string): Notify {
  const call = createAwsCaller({
    endpoint: endpoint ?? `https://events.${region}.amazonaws.com/`,
    region,
    service: 'events',
    credentials,
  });
  const headers = { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'AWSEvents.PutEvents' };
  return async (id, notification, signal) => {
    const { type, timestamp, data } = notification;
    const entry = {
      EventBusName: bus,
      Source: 'elfin',
      DetailType: type,
      Time: Math.floor(Date.parse(timestamp) / 1000),
      Detail: JSON.stringify({ id, ...data }),
    };
    const answer = JSON.parse(await call({ body: JSON.stringify({ Entries: [entry] }), headers, signal })) as {
      readonly FailedEntryCount?: number;
      readonly Entries?: readonly { readonly ErrorCode?: string; readonly ErrorMessage?: string }[];
    };
    if (!answer.FailedEntryCount) return;
    const { ErrorCode, ErrorMessage } = answer.Entries?.[0] ?? {};
    throw new ElfinError('NETWORK_FAILED', `${bus} did not take the event (${ErrorCode}: ${ErrorMessage}); try again.`);
  };
}
