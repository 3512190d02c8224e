import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createMemoryStore } from '@elfin/storage';
import { Webhook } from 'standardwebhooks';
import { expect, it } from 'vitest';
import { cheapRestorer, upload } from '../../../../test/helpers/upload.ts';
import { createTrigger, createWebhookNotifier, notifierFor } from '../index.ts';

const SECRET = `whsec_${Buffer.from('a secret of twenty-four b').toString('base64')}`;

it('tells of a result, signed, until the receiver says yes, under one id', async () => {
  const seen: { id: string; payload: unknown }[] = [];
  let status = 500;
  const receiver = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const payload = new Webhook(SECRET).verify(text, request.headers as Record<string, string>);
    seen.push({ id: request.headers['webhook-id'] as string, payload });
    response.writeHead(status).end();
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
  const store = createMemoryStore();
  const trigger = createTrigger({
    rules: [{ prefix: 'incoming/', task: 'derain' }],
    storage: () => store,
    restorer: cheapRestorer(),
    notify: createWebhookNotifier({ url, secret: SECRET }),
    retries: { attempts: 1 },
  });
  const event = await upload(store, 'incoming/ü.jpg', 'photo');
  expect(await trigger.process(event)).toMatchObject({
    status: 'failed',
    error: { code: 'NETWORK_FAILED', retry: true },
  });
  status = 204;
  expect(await trigger.process(event)).toMatchObject({ status: 'done' });
  expect(await trigger.process(event)).toMatchObject({ status: 'done' });
  expect(seen).toHaveLength(2);
  expect(seen[0]!.id).toMatch(/^elfin_[0-9a-f]{32}$/);
  expect(seen[1]!.id).toBe(seen[0]!.id);
  expect(seen[1]!.payload).toMatchObject({
    type: 'elfin.restored',
    data: {
      source: { bucket: 'photos', key: 'incoming/ü.jpg', etag: event.etag },
      result: { bucket: 'photos', key: store.keys().find((key) => key.startsWith('restored/')), type: 'image/jpeg' },
      task: 'derain',
    },
  });
  receiver.close();
});

it('refuses a secret or a URL that are none', () => {
  expect(() => createWebhookNotifier({ url: 'nowhere', secret: SECRET })).toThrow(/URL/);
  expect(() => createWebhookNotifier({ url: 'http://localhost/', secret: '' })).toThrow(/secret/);
});

it('is made of both variables, or of none', () => {
  expect(notifierFor(undefined, '')).toBeUndefined();
  expect(notifierFor('http://127.0.0.1/', SECRET)).toBeTypeOf('function');
  expect(() => notifierFor('http://127.0.0.1/', undefined)).toThrow(/ELFIN_NOTIFY_SECRET is missing/);
  expect(() => notifierFor(undefined, SECRET)).toThrow(/ELFIN_NOTIFY_URL is missing/);
});
