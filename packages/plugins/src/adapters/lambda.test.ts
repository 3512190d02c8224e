import { readFileSync } from 'node:fs';
import { createMemoryStore } from '@elfin/storage';
import { describe, expect, it } from 'vitest';
import { cheapRestorer, upload } from '../../../../test/helpers/upload.ts';
import { createTrigger } from '../index.ts';
import { createLambdaHandler } from './lambda.ts';

const fixture = (path: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../../../test/fixtures/events/${path}.json`, import.meta.url), 'utf8'));

function setUp() {
  const store = createMemoryStore();
  const trigger = createTrigger({
    rules: [{ prefix: 'incoming/', task: 'derain' }],
    storage: (bucket) => (bucket === 'photos' ? store : undefined),
    restorer: cheapRestorer(),
    retries: { attempts: 1 },
  });
  const handler = createLambdaHandler(trigger);
  return {
    store,
    trigger,
    handle: (event: unknown, left = 60_000) => handler(event, { getRemainingTimeInMillis: () => left }),
  };
}

const KEY = 'incoming/red flower+1 ü.jpg';

describe('Lambda', () => {
  it.each(['s3/put', 'sns/lambda', 'eventbridge/object-created'])('restores what %s tells of', async (path) => {
    const { store, handle } = setUp();
    await upload(store, KEY, 'photo');
    expect(await handle(fixture(path))).toEqual({ handled: 1 });
    expect(store.keys().filter((key) => key.startsWith(`restored/${KEY}/`))).toHaveLength(1);
  });

  it('throws for S3, SNS and EventBridge what is to come again', async () => {
    const { store, handle } = setUp();
    await upload(store, KEY, 'WEAK');
    await expect(handle(fixture('s3/put'))).rejects.toMatchObject({ code: 'RUNTIME_FAILED' });
    await expect(handle({ surprise: true })).rejects.toMatchObject({ code: 'EVENT_UNKNOWN', data: { paths: ['$'] } });
    expect(await handle(fixture('s3/test-event'))).toEqual({ handled: 1 });
  });

  it('names the failed messages of SQS, and only those', async () => {
    const { store, handle } = setUp();
    await upload(store, KEY, 'photo');
    expect(await handle(fixture('sqs/mixed-with-poison'))).toEqual({
      batchItemFailures: [{ itemIdentifier: '00000000-0000-4000-8000-000000000002' }],
    });
    expect(await handle(fixture('sqs/sns-wrapped'))).toEqual({ batchItemFailures: [] });
    expect(await handle(fixture('sqs/raw'), 1000)).toEqual({
      batchItemFailures: [{ itemIdentifier: '059f36b4-87a3-44ab-83d2-661975830a7d' }],
    });
  });

  it('fails the whole of SQS where a message has no id to name', async () => {
    const { handle } = setUp();
    const event = { Records: [{ eventSource: 'aws:sqs', body: '{}' }] };
    await expect(handle(event)).rejects.toMatchObject({ code: 'EVENT_INVALID' });
  });

  it('answers Batch Operations task by task, in both schemas', async () => {
    const { store, handle } = setUp();
    await upload(store, 'incoming/ü.jpg', 'photo');
    await upload(store, 'incoming/b.jpg', 'WEAK');
    const answer = (await handle(fixture('batch-operations/schema-2'))) as { results: object[] };
    expect(answer).toMatchObject({
      invocationSchemaVersion: '2.0',
      treatMissingKeysAs: 'PermanentFailure',
      results: [
        { taskId: 'dGFza2lkZ29lc2hlcmUx', resultCode: 'Succeeded' },
        { taskId: 'dGFza2lkZ29lc2hlcmUy', resultCode: 'TemporaryFailure' },
      ],
    });
    expect(await handle(fixture('batch-operations/schema-1'))).toMatchObject({
      invocationSchemaVersion: '1.0',
      invocationId: 'YXNkbGZqYWRmaiBhc2RmdW9hZHNmZGpmaGFzbGtkaGZza2RmaAo',
      results: [{ resultCode: 'PermanentFailure', resultString: expect.stringContaining('OBJECT_GONE') }],
    });
  });
});
