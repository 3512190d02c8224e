// Captures the events that versitygw and MinIO really send, into test/fixtures/events.
// Run: node --conditions=@elfin/source test/services/capture-events.ts
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CopyObjectCommand, DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { startMinio, startVersitygw } from './helpers/s3.ts';

const KEYS = {
  put: 'plain.jpg',
  'put-space': 'dir/with space.jpg',
  'put-plus': 'dir/a+b.jpg',
  'put-unicode': 'dir/ünï-写真.jpg',
  'put-percent-2f': 'dir/100%2Fdone.jpg',
};
const root = new URL('../fixtures/events/', import.meta.url).pathname;

for (const [name, start] of [
  ['versitygw', startVersitygw],
  ['minio', startMinio],
] as const) {
  const bodies: string[] = [];
  const hook = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    if (text !== '') bodies.push(text);
    response.end();
  }).listen(0, '127.0.0.1');
  await once(hook, 'listening');
  const { port } = hook.address() as { port: number };
  const server = await start({ webhook: `http://127.0.0.1:${port}/` });
  const { client } = server;
  const send = async (label: string, work: Promise<unknown>) => {
    const before = bodies.length;
    await work;
    for (let waited = 0; bodies.length === before && waited < 15_000; waited += 50) await sleep(50);
    const body = bodies.at(-1);
    if (bodies.length === before || body === undefined) throw new Error(`${name} sent no event for ${label}.`);
    await mkdir(join(root, name), { recursive: true });
    await writeFile(join(root, name, `${label}.json`), `${JSON.stringify(JSON.parse(body), null, 2)}\n`);
  };
  const common = { Bucket: 'photos', ContentType: 'image/jpeg', Metadata: { a: 'b' } };
  for (const [label, Key] of Object.entries(KEYS)) {
    await send(label, client.send(new PutObjectCommand({ ...common, Key, Body: `hello ${Key}` })));
  }
  const parts = { ...common, Key: 'big/multi part.jpg', Body: Buffer.alloc(5 * 1024 * 1024 + 11, 1) };
  await send('multipart', new Upload({ client, params: parts, partSize: 5 * 1024 * 1024 }).done());
  await send(
    'copy',
    client.send(new CopyObjectCommand({ Bucket: 'photos', Key: 'copied.jpg', CopySource: 'photos/plain.jpg' })),
  );
  if (name === 'versitygw') {
    await send('delete', client.send(new DeleteObjectCommand({ Bucket: 'photos', Key: 'copied.jpg' })));
  }
  await server.stop();
  hook.closeAllConnections();
  hook.close();
}
