import { ElfinError, type PixelImage } from '@elfin/core';
import { createSources, type PixelRestorer, type Source, type SourceFound, type SourceReply } from '@elfin/edge';

export const ORIGIN = 'https://origin.example';
export const KEY = { id: 'k1', secret: new Uint8Array(32).fill(7) };
export const MODEL = { name: 'derain-lw-test-0123456789ab', digest: '0123456789ab'.padEnd(64, '0') };

/** A photo-like gradient, so that a lossy codec keeps it recognisable. */
export function picture(width: number, height: number, channels: 3 | 4 = 3): PixelImage {
  const data = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * channels;
      data.set([(x * 255) / width, (y * 255) / height, 90], at);
      if (channels === 4) data[at + 3] = 200;
    }
  }
  return { width, height, channels, data };
}

/** An origin whose objects, revisions and failures the tests set. */
export function createOrigin() {
  const objects = new Map<
    string,
    { bytes: Uint8Array; etag: string; immutable?: boolean; scope?: SourceFound['scope'] }
  >();
  const state = {
    reads: 0,
    conditional: 0,
    down: undefined as ElfinError | undefined,
    stall: undefined as Promise<void> | undefined,
  };
  const source: Source = {
    async read(name, request): Promise<SourceReply> {
      state.reads += 1;
      if (request?.known) state.conditional += 1;
      await state.stall;
      if (state.down) throw state.down;
      const object = name.kind === 'http' ? objects.get(name.url.pathname) : undefined;
      if (!object) throw new ElfinError('SOURCE_MISSING', 'The source does not exist.');
      if (request?.known?.etag === object.etag) return { state: 'same' };
      const body = new Response(object.bytes as Uint8Array<ArrayBuffer>).body as ReadableStream<Uint8Array>;
      return {
        state: 'found',
        body,
        revision: { etag: object.etag },
        pinned: object.immutable ?? false,
        scope: object.scope,
      };
    },
  };
  return { objects, state, source: createSources({ allow: [ORIGIN], sources: { http: source } }) };
}

/** A network that inverts, counts its runs, and holds until it is let go. */
export function createInverter() {
  const state = { runs: 0, hold: undefined as Promise<void> | undefined, fail: undefined as ElfinError | undefined };
  const restorer: PixelRestorer = {
    async restore(image, { task, signal, onProgress }) {
      state.runs += 1;
      onProgress?.({ phase: 'restore', tile: 1, tiles: 2, fraction: 0.5 });
      const stopped = new Promise<never>((_, reject) => {
        if (signal?.aborted) reject(signal.reason);
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
      stopped.catch(() => undefined);
      await Promise.race([state.hold, stopped]);
      if (signal?.aborted) throw signal.reason;
      if (state.fail) throw state.fail;
      const inverted = Uint8Array.from(image.data, (value, at) => (at % image.channels === 3 ? value : 255 - value));
      const report = {
        task: task === 'auto' ? 'derain' : task,
        model: MODEL.name,
        digest: MODEL.digest,
        backend: { provider: 'test' },
        tiling: 'whole',
        tiles: 1,
      } as const;
      return { image: { ...image, data: inverted }, report };
    },
  };
  return { state, restorer };
}

/** A promise and what settles it. */
export function gate() {
  let open = () => {};
  const closed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { closed, open: () => open() };
}
