import type { Codec } from '@elfin/core';
import {
  type Background,
  createEdge,
  createLocalBackend,
  type Edge,
  type EdgeOptions,
  parseTransform,
  type QueueMessage,
} from '@elfin/edge';
import type { ObjectStore } from '@elfin/storage';
import { expect } from 'vitest';
import { createInverter, createOrigin, KEY, MODEL, ORIGIN, picture } from './scene.ts';

/** What a runtime brings to the program. */
export interface Runtime {
  readonly codec: Codec;
  /** A fresh store with conditional writes: the runtime's own. */
  readonly store: () => Promise<ObjectStore> | ObjectStore;
  /** Where jobs are kept, if not in the same. */
  readonly coordination?: () => ObjectStore;
  /** How work outlives its request there. */
  readonly background: 'process' | 'queue';
}

/** An edge in this runtime with an origin, a network and a queue that the test holds in its hand. */
export async function setUpEdge(runtime: Runtime, options: Partial<EdgeOptions> = {}) {
  const { codec } = runtime;
  const origin = createOrigin();
  const inverter = createInverter();
  const png = await codec.encode(picture(64, 48), { format: 'png' });
  origin.objects.set('/rain.png', { bytes: png, etag: '"v1"' });
  const messages: QueueMessage[] = [];
  const background: Background =
    runtime.background === 'process'
      ? { kind: 'process' }
      : { kind: 'queue', send: async (message) => void messages.push(message) };
  const store = options.store ?? (await runtime.store());
  const edge = createEdge({
    ...(runtime.coordination ? { coordination: runtime.coordination() } : {}),
    keys: [KEY],
    source: origin.source,
    store,
    backends: [createLocalBackend({ codec, restorer: inverter.restorer })],
    codec,
    models: { resolve: async () => ({ ...MODEL, manifest: {} as never, bytes: async () => new Uint8Array() }) },
    background,
    syncWait: 5_000,
    ...options,
  });
  const url = (path: string, ttl?: number) => sign(edge, path, ttl);
  /** An answer, and then what is written behind it. */
  const get = async (path: string, headers: Record<string, string> = {}, method = 'GET') => {
    const response = await edge.app.request(await url(path), { headers, method });
    await edge.flush();
    return response;
  };
  /** Does what was queued, as the platform's consumer would; settles as the work does. */
  const consume = () => Promise.allSettled(messages.splice(0).map((message) => edge.consume(message)));
  /** Another photo at the same origin. */
  const addPhoto = async (path: string, width: number) =>
    origin.objects.set(path, { bytes: await codec.encode(picture(width, 24), { format: 'png' }), etag: `"${path}"` });
  /** What was written behind answers, once `count` keys begin with `prefix`. */
  const written = async (prefix: string, count = 1) => {
    await expect.poll(async () => (await store.list(prefix)).objects.length).toBe(count);
    return (await store.list(prefix)).objects;
  };
  return { origin, inverter, edge, store, get, url, messages, consume, png, addPhoto, written };
}

async function sign(edge: Edge, path: string, ttl?: number): Promise<string> {
  const slash = path.indexOf('/');
  const transform = parseTransform(`${path.slice(0, slash)}/${encodeURIComponent(ORIGIN + path.slice(slash))}`);
  return (edge.signer as NonNullable<Edge['signer']>).sign(transform, ttl === undefined ? {} : { ttl, window: 1 });
}

export const bytesOf = async (response: Response) => new Uint8Array(await response.arrayBuffer());
export const problem = async (response: Response) => [
  response.status,
  ((await response.json()) as { code: string }).code,
];

/** What the tests of one concern are given. */
export interface Scene extends Pick<Runtime, 'codec' | 'store' | 'background'> {
  readonly setUp: (options?: Partial<EdgeOptions>) => ReturnType<typeof setUpEdge>;
}
