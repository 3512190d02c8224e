import { createMemoryStore } from '@elfin/storage';
import { expect, it } from 'vitest';
import { cheapRestorer, contentOf, upload } from '../../../../test/helpers/upload.ts';
import { createTrigger, ORIGIN_MARK, type RuleInput } from '../index.ts';

function setUp(rule: Partial<RuleInput> = {}) {
  const stores = new Map(['a', 'b', 'out'].map((name) => [name, createMemoryStore()]));
  const at = (bucket: string) => stores.get(bucket)!;
  const trigger = createTrigger({
    rules: [{ prefix: 'incoming/', task: 'derain', alias: 'latest/{key}', destinationBucket: 'out', ...rule }],
    storage: (bucket) => stores.get(bucket),
    restorer: cheapRestorer(),
    retries: { attempts: 1 },
  });
  return { at, trigger };
}

it('stays of the upload that took it first, whatever another bucket holds by that name', async () => {
  const { at, trigger } = setUp();
  const one = await upload(at('a'), 'incoming/x.jpg', 'of a', { bucket: 'a', sequencer: '05' });
  expect(await trigger.process(one)).toMatchObject({ status: 'restored' });
  // An older sequencer and a newer one: that of another key says nothing.
  for (const sequencer of ['01', '09']) {
    const other = await upload(at('b'), 'incoming/x.jpg', `of b ${sequencer}`, { bucket: 'b', sequencer });
    expect(await trigger.process(other)).toMatchObject({
      status: 'failed',
      error: { code: 'OUTPUT_EXISTS', data: { key: 'latest/incoming/x.jpg' } },
    });
  }
  expect(await contentOf(at('out'), 'latest/incoming/x.jpg')).toBe('restored jpeg: of a');
  const newer = await upload(at('a'), 'incoming/x.jpg', 'of a again', { bucket: 'a', sequencer: '06' });
  expect(await trigger.process(newer)).toMatchObject({ status: 'restored' });
  expect(await contentOf(at('out'), 'latest/incoming/x.jpg')).toBe('restored jpeg: of a again');
});

it('of an older elfin, which says not whose it is, is taken for its own', async () => {
  const { at, trigger } = setUp();
  const key = 'latest/incoming/x.jpg';
  await trigger.process(await upload(at('a'), 'incoming/x.jpg', 'one', { bucket: 'a' }));
  const { [ORIGIN_MARK]: origin, ...metadata } = (await at('out').head(key))!.metadata;
  expect(origin).toMatch(/^[0-9a-f]{32}$/);
  await at('out').put(key, new TextEncoder().encode('old'), { metadata });
  await trigger.process(await upload(at('a'), 'incoming/x.jpg', 'two', { bucket: 'a' }));
  expect(await contentOf(at('out'), key)).toBe('restored jpeg: two');
  expect((await at('out').head(key))!.metadata[ORIGIN_MARK]).toBe(origin);
});
