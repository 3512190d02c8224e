import { ElfinError } from '@elfin/core';
import type { S3Credentials } from '@elfin/storage';
import { type AwsCall, createAwsCaller } from './call.ts';

export interface SqsOptions {
  /** `https://sqs.eu-central-1.amazonaws.com/111122223333/uploads`, or the same at a server of one's own. */
  readonly queueUrl: string;
  /** Default: the one that the URL names, else `us-east-1`. */
  readonly region?: string | undefined;
  readonly credentials: S3Credentials | (() => Promise<S3Credentials>);
}

export interface SqsMessage {
  readonly id: string;
  /** Names this delivery of it. */
  readonly receipt: string;
  readonly body: string;
  /** Deliveries so far, this one included. */
  readonly deliveries: number;
}

/** The calls to one queue that a consumer needs. Errors: those of `createAwsCaller`. */
export interface SqsQueue {
  receive(options: {
    readonly max: number;
    readonly waitSeconds: number;
    readonly signal?: AbortSignal;
  }): Promise<readonly SqsMessage[]>;
  remove(message: Pick<SqsMessage, 'receipt'>): Promise<void>;
  /** Makes a message visible to others again in so many seconds; while it is worked on, keeps it from them. */
  hide(message: Pick<SqsMessage, 'receipt'>, seconds: number): Promise<void>;
  send(body: string, signal?: AbortSignal): Promise<void>;
  /** Of a dead letter queue: has the service move all its messages back to the queues that they came from. */
  redrive(): Promise<void>;
}

/** The region that the URL of a queue at Amazon names. */
export const regionOf = (url: string): string | undefined => /\.([a-z0-9-]+)\.amazonaws\./.exec(url)?.[1];

/** A queue by its URL, through SQS's JSON protocol. */
export function createSqsQueue({ queueUrl, region, credentials }: SqsOptions): SqsQueue {
  if (!URL.canParse(queueUrl)) throw new ElfinError('CONFIG_INVALID', `"${queueUrl}" is no URL of a queue.`);
  const call = createAwsCaller({
    endpoint: new URL(queueUrl).origin,
    region: region ?? regionOf(queueUrl) ?? 'us-east-1',
    service: 'sqs',
    credentials,
  });
  const ask = async (action: string, input: object, bounds: Pick<AwsCall, 'signal' | 'timeoutMs'> = {}) => {
    const headers = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': `AmazonSQS.${action}` };
    const text = await call({ body: JSON.stringify({ QueueUrl: queueUrl, ...input }), headers, ...bounds });
    return (text === '' ? {} : JSON.parse(text)) as RawAnswer;
  };
  return {
    async receive({ max, waitSeconds, signal }) {
      const input = {
        MaxNumberOfMessages: Math.min(10, max),
        WaitTimeSeconds: waitSeconds,
        AttributeNames: ['ApproximateReceiveCount'],
        MessageSystemAttributeNames: ['ApproximateReceiveCount'],
      };
      const { Messages = [] } = await ask('ReceiveMessage', input, { signal, timeoutMs: (waitSeconds + 15) * 1000 });
      return Messages.map(({ MessageId, ReceiptHandle, Body, Attributes }) => ({
        id: MessageId,
        receipt: ReceiptHandle,
        body: Body,
        deliveries: Number(Attributes?.ApproximateReceiveCount ?? 1),
      }));
    },
    async remove({ receipt }) {
      await ask('DeleteMessage', { ReceiptHandle: receipt });
    },
    async hide({ receipt }, seconds) {
      const VisibilityTimeout = Math.max(0, Math.min(43_200, Math.ceil(seconds)));
      await ask('ChangeMessageVisibility', { ReceiptHandle: receipt, VisibilityTimeout });
    },
    async redrive() {
      const { Attributes } = await ask('GetQueueAttributes', { AttributeNames: ['QueueArn'] });
      await ask('StartMessageMoveTask', { SourceArn: Attributes?.QueueArn });
    },
    async send(body, signal) {
      await ask('SendMessage', { MessageBody: body }, { signal });
    },
  };
}

interface RawAnswer {
  readonly Messages?: readonly RawMessage[];
  readonly Attributes?: { readonly QueueArn?: string };
}

interface RawMessage {
  readonly MessageId: string;
  readonly ReceiptHandle: string;
  readonly Body: string;
  readonly Attributes?: { readonly ApproximateReceiveCount?: string };
}
