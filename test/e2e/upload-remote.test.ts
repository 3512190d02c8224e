import { createNodeRuntime, createRestorer, loadSharpCodec } from '@elfin/core/node';
import { createRemoteRuntime } from '@elfin/core/remote';
import { createModels } from '@elfin/models/node';
import {
  createRemoteUploadRestorer,
  createTrigger,
  createUploadRestorer,
  type UploadEvent,
  type UploadRestorer,
} from '@elfin/plugins';
import { createMemoryStore } from '@elfin/storage';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ElfinWorker, startElfinWorker } from '../helpers/elfin-worker.ts';

const TOKEN = 'a-token-of-this-test';
let worker: ElfinWorker;

beforeAll(async () => {
  worker = await startElfinWorker(TOKEN);
});
afterAll(() => worker.stop());

const photo = () => {
  const create = {
    width: 140,
    height: 90,
    channels: 3,
    background: '#456',
    noise: { type: 'gaussian', mean: 120, sigma: 40 },
  } as const;
  return sharp({ create }).png().toBuffer();
};

async function restoreBy(restorer: UploadRestorer, bytes: Uint8Array) {
  const store = createMemoryStore();
  const trigger = createTrigger({
    rules: [{ prefix: 'incoming/', task: 'derain' }],
    storage: () => store,
    restorer,
    retries: { attempts: 1 },
  });
  const put = (await store.put('incoming/a.png', bytes, { type: 'image/png' })) as { etag: string };
  const event: UploadEvent = {
    kind: 'created',
    name: 'Put',
    source: 'test',
    bucket: 'photos',
    key: 'incoming/a.png',
    etag: put.etag,
  };
  const outcome = await trigger.process(event);
  const key = store.keys().find((name) => name.startsWith('restored/'));
  const found = key === undefined ? undefined : await store.get(key);
  const body = typeof found === 'object' ? (found.body as ReadableStream<Uint8Array<ArrayBuffer>>) : undefined;
  return { outcome, restored: body && Buffer.from(await new Response(body).arrayBuffer()) };
}

describe('uploads', () => {
  it('are restored by a worker as in this process', async () => {
    const [codec, models, bytes] = [await loadSharpCodec(), createModels(), await photo()];
    const { endpoints } = createRemoteRuntime({ endpoints: [{ url: worker.url, token: TOKEN }] });
    const far = await restoreBy(createRemoteUploadRestorer({ endpoints, models, codec }), bytes);
    expect(far.outcome).toMatchObject({ status: 'restored', report: { by: 'worker' } });
    await using restorer = createRestorer({ models, codec, runtime: createNodeRuntime({ device: 'cpu' }) });
    const near = await restoreBy(createUploadRestorer({ restorer, codec, models }), bytes);
    expect(near.outcome).toMatchObject({ status: 'restored', report: { task: 'derain' } });
    const [one, other, before] = await Promise.all(
      [far.restored!, near.restored!, bytes].map((image) => sharp(image).raw().toBuffer()),
    );
    expect(one!.equals(other!)).toBe(true);
    expect(one!.equals(before!)).toBe(false);
  });

  it('that are no image go to quarantine, as the worker says', async () => {
    const [codec, models] = [await loadSharpCodec(), createModels()];
    const { endpoints } = createRemoteRuntime({ endpoints: [{ url: worker.url, token: TOKEN }] });
    const { outcome } = await restoreBy(
      createRemoteUploadRestorer({ endpoints, models, codec }),
      Buffer.from('no image at all'),
    );
    expect(outcome).toMatchObject({ status: 'quarantined', error: { code: expect.stringMatching(/^IMAGE_/) } });
  });

  it('wait where no worker answers', async () => {
    const [codec, models, bytes] = [await loadSharpCodec(), createModels(), await photo()];
    const { endpoints } = createRemoteRuntime({ endpoints: ['http://127.0.0.1:1'] });
    const { outcome } = await restoreBy(createRemoteUploadRestorer({ endpoints, models, codec }), bytes);
    expect(outcome).toMatchObject({ status: 'failed', error: { retry: true } });
  });
});
