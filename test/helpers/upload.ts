import { ElfinError } from '@elfin/core';
import type { UploadEvent, UploadRestorer } from '@elfin/plugins';
import type { ObjectStore } from '@elfin/storage';

const text = new TextEncoder();

/**
 * A restorer that costs nothing: puts a word before the bytes. What begins with `POISON` is no image to it, what begins
 * with `WEAK` fails twice in a way that may pass.
 */
export function cheapRestorer(options: { delayMs?: number } = {}): UploadRestorer & { readonly calls: () => number } {
  let calls = 0;
  const weak = new Map<string, number>();
  return {
    calls: () => calls,
    codec: { name: 'cheap', version: '1' },
    models: async () => ['c'.repeat(64)],
    async restoreBytes(bytes, { format }, { signal }) {
      calls++;
      if (options.delayMs) await new Promise((resolve) => setTimeout(resolve, options.delayMs));
      signal.throwIfAborted();
      const start = new TextDecoder().decode(bytes.subarray(0, 40));
      if (start.startsWith('POISON')) throw new ElfinError('IMAGE_UNSUPPORTED', 'This is no image; upload an image.');
      if (start.startsWith('WEAK')) {
        const tries = (weak.get(start) ?? 0) + 1;
        weak.set(start, tries);
        if (tries < 3) throw new ElfinError('RUNTIME_FAILED', 'The session broke; try again.');
      }
      const word = text.encode(`restored ${format}: `);
      const out = new Uint8Array(word.length + bytes.length);
      out.set(word);
      out.set(bytes, word.length);
      return { bytes: out, report: { calls } };
    },
  };
}

/** Uploads a text and gives the event that a store would send of it. */
export async function upload(
  store: ObjectStore,
  key: string,
  content: string,
  extra: Partial<UploadEvent> = {},
): Promise<UploadEvent> {
  const bytes = text.encode(content);
  const put = await store.put(key, bytes, { type: 'image/jpeg', metadata: { camera: 'test' } });
  if (typeof put === 'string') throw new Error(`upload of ${key}: ${put}`);
  return {
    kind: 'created',
    name: 'ObjectCreated:Put',
    source: 'test',
    bucket: 'photos',
    key,
    size: bytes.length,
    etag: put.etag,
    ...extra,
  };
}

/** What an object holds. Throws where nothing is. */
export async function bytesAt(store: ObjectStore, key: string): Promise<Buffer> {
  const found = await store.get(key);
  if (found === undefined || found === 'changed') throw new Error(`There is no "${key}".`);
  return Buffer.from(await new Response(found.body as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer());
}

/** What an object holds, as text; undefined where nothing is. */
export async function contentOf(store: ObjectStore, key: string): Promise<string | undefined> {
  return (await store.head(key)) && (await bytesAt(store, key)).toString();
}
