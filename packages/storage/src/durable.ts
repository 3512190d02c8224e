import type {
  DurableObjectNamespace,
  DurableObjectState,
  Response as WorkersResponse,
} from '@cloudflare/workers-types';
import { ElfinError } from '@elfin/core';
import { readAll, sliceOf, streamOf } from './bytes.ts';
import type { ObjectBody, ObjectHead, ObjectStore } from './object-store.ts';

interface Stored {
  readonly head: ObjectHead;
  readonly bytes: Uint8Array;
}

/** A record that nobody has written for this long is gone: jobs and leases live for minutes. */
const KEEP_MS = 24 * 60 * 60_000;

/**
 * The Durable Object behind {@link createDurableStore}: one object a key, so that its single thread decides every race.
 * Bind it as a SQLite class; it needs no other setting.
 */
export class StoreObject {
  readonly #state: DurableObjectState;

  constructor(state: DurableObjectState) {
    this.#state = state;
  }

  async fetch(request: Request): Promise<Response> {
    const { storage } = this.#state;
    const present = await storage.get<Stored>('object');
    const match = request.headers.get('if-match');
    const holds = match === null || present?.head.etag === match;
    switch (request.method) {
      case 'GET':
        return present
          ? new Response(present.bytes as Uint8Array<ArrayBuffer>, {
              headers: { 'elfin-head': encodeURIComponent(JSON.stringify(present.head)) },
            })
          : new Response(null, { status: 404 });
      case 'PUT': {
        const bytes = new Uint8Array(await request.arrayBuffer());
        // Reading the body let other requests in: the state is looked at again, and nothing awaited before it is written.
        const now = await storage.get<Stored>('object');
        if (request.headers.get('if-none-match') === '*' && now) return new Response(null, { status: 412 });
        if (match !== null && now?.head.etag !== match) return new Response(null, { status: 412 });
        const given = JSON.parse(decodeURIComponent(request.headers.get('elfin-head') ?? '{}')) as Partial<ObjectHead>;
        const head: ObjectHead = {
          metadata: {},
          ...given,
          etag: crypto.randomUUID(),
          size: bytes.byteLength,
          modified: Date.now(),
        };
        await Promise.all([storage.put('object', { head, bytes }), storage.setAlarm(Date.now() + KEEP_MS)]);
        return new Response(head.etag);
      }
      case 'DELETE':
        if (!holds && present) return new Response(null, { status: 412 });
        await this.#state.storage.deleteAll();
        return new Response(null, { status: 204 });
      default:
        return new Response(null, { status: 405 });
    }
  }

  async alarm(): Promise<void> {
    await this.#state.storage.deleteAll();
  }
}

/**
 * Small records with true conditions, one Durable Object a key: for jobs and single flight in workerd, where no promise is
 * shared between requests and R2 takes one write a second per key. It cannot list. Errors: STORE_FAILED, STORE_UNSUITABLE.
 */
export function createDurableStore(namespace: DurableObjectNamespace): ObjectStore {
  async function call(
    key: string,
    method: string,
    headers: Record<string, string> = {},
    body?: Uint8Array,
  ): Promise<Response> {
    try {
      const stub = namespace.get(namespace.idFromName(key));
      const init = { method, headers, ...(body ? { body } : {}) };
      const response: WorkersResponse = await stub.fetch('https://store.invalid/', init as never);
      if (response.status >= 500) throw new Error(`status ${response.status}`);
      return response as unknown as Response;
    } catch (cause) {
      throw new ElfinError('STORE_FAILED', 'The Durable Object did not answer.', { cause });
    }
  }

  async function read(key: string): Promise<Stored | undefined> {
    const response = await call(key, 'GET');
    const bytes = new Uint8Array(await response.arrayBuffer());
    const head = response.headers.get('elfin-head');
    return response.status === 200 && head
      ? { bytes, head: JSON.parse(decodeURIComponent(head)) as ObjectHead }
      : undefined;
  }

  return {
    head: async (key) => (await read(key))?.head,
    async get(key, { ifMatch, range } = {}): Promise<ObjectBody | 'changed' | undefined> {
      const stored = await read(key);
      if (!stored) return undefined;
      if (ifMatch !== undefined && ifMatch !== stored.head.etag) return 'changed';
      return { ...stored.head, body: streamOf(sliceOf(stored.bytes, range)) };
    },
    async put(key, body, { ifAbsent, ifMatch, type, metadata = {}, signal } = {}) {
      const head = encodeURIComponent(JSON.stringify({ metadata, type }));
      const condition = {
        ...(ifAbsent ? { 'if-none-match': '*' } : {}),
        ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
      };
      const response = await call(key, 'PUT', { 'elfin-head': head, ...condition }, await readAll(body, { signal }));
      const etag = await response.text();
      if (response.status === 412) return ifAbsent ? 'exists' : 'conflict';
      return { etag };
    },
    async delete(key, { ifMatch } = {}) {
      const response = await call(key, 'DELETE', ifMatch === undefined ? {} : { 'if-match': ifMatch });
      return response.status !== 412;
    },
    async list() {
      throw new ElfinError('STORE_UNSUITABLE', 'Durable Objects cannot be listed; keep results in a bucket.');
    },
  };
}
