import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import type { BackfillReport, TriggerCounts } from '@elfin/plugins';
import { createClientStore } from '@elfin/storage/aws';
import { keysUnder } from '../../helpers/keys-under.ts';
import { inLanes } from '../../helpers/storm.ts';
import type { ConsumerSettings } from './consumer.ts';

/** Uploads photos, every twentieth in parts of 5 MiB. Gives what each holds. */
export async function uploadPhotos(client: S3Client, bucket: string, keys: readonly string[]) {
  const contents = new Map<string, Buffer>();
  for (const [index, key] of keys.entries()) {
    const text = Buffer.from(`photo ${index} of ${key}; `);
    const content = index % 20 === 7 ? Buffer.concat([text, Buffer.alloc(5 * 1024 * 1024 + index, index)]) : text;
    contents.set(key, content);
  }
  await inLanes([...contents], 8, async ([Key, Body]) => {
    const params = { Bucket: bucket, Key, Body, ContentType: 'image/jpeg' };
    await new Upload({ client, params, partSize: 5 * 1024 * 1024 }).done();
  });
  return contents;
}

/** Stands where a server sends its events; keeps them, to be delivered as unreliably as the test likes. */
export async function startRelay() {
  const bodies: string[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    if (text !== '') bodies.push(text);
    response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    bodies,
    /** Resolves when so many uploads have been told of. */
    async uploads(count: number): Promise<readonly string[]> {
      for (let waited = 0; waited < 60_000; waited += 100) {
        const told = bodies.filter((body) => body.includes('ObjectCreated') && body.includes('incoming'));
        if (told.length >= count) return told;
        await sleep(100);
      }
      throw new Error(`Only ${bodies.length} events came.`);
    },
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

export interface Consumer {
  ask(what: 'idle' | 'counts' | 'reconcile'): Promise<{ counts: TriggerCounts; report?: BackfillReport }>;
  kill(): Promise<void>;
}

/** Starts the consumer's process and waits until it listens. */
export async function startConsumer(settings: ConsumerSettings, env: Record<string, string>): Promise<Consumer> {
  const child = fork(new URL('./consumer.ts', import.meta.url), [JSON.stringify(settings)], {
    env: { ...process.env, ...env },
    execArgv: ['--conditions=@elfin/source'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`The consumer ended with ${code}.`);
  });
  ended.catch(() => undefined);
  await Promise.race([once(child, 'message'), ended]);
  return {
    async ask(what) {
      const answer = once(child, 'message');
      child.send(what);
      const [message] = await Promise.race([answer, ended]);
      return message as { counts: TriggerCounts; report?: BackfillReport };
    },
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}

/** Inferences of all processes so far. */
export const inferences = async (log: string) => (await readFile(log, 'utf8').catch(() => '')).split('\n').length - 1;

/**
 * Checks the bucket against what was uploaded: each photo has exactly one result object, whole and made of its own bytes,
 * and an alias with the same bytes; no claim is left.
 */
export async function checkResults(client: S3Client, bucket: string, contents: ReadonlyMap<string, Buffer>) {
  const store = createClientStore({ client, bucket });
  const results = await keysUnder(store, 'restored/');
  const wrong: string[] = [];
  const bytesAt = async (Key: string) => {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key }));
    return Buffer.from(await Body!.transformToByteArray());
  };
  await inLanes([...contents], 8, async ([key, content]) => {
    const mine = results.filter((result) => result.startsWith(`restored/${key}/`));
    if (mine.length !== 1) return void wrong.push(`${key}: ${mine.length} results`);
    for (const place of [mine[0]!, `latest/${key}`]) {
      const bytes = await bytesAt(place).catch((error: Error) => Buffer.from(error.name));
      const word = bytes.subarray(0, bytes.indexOf(': ') + 2).toString();
      const whole = /^restored (jpeg|png|webp): $/.test(word) && bytes.subarray(word.length).equals(content);
      if (!whole) wrong.push(`${place} is not the restored ${key}: ${bytes.subarray(0, 60)}`);
    }
  });
  const claims = (await keysUnder(store, '.elfin/claims/')).filter((key) => !key.endsWith('/keep.json'));
  return { results: results.length, wrong, claims };
}
