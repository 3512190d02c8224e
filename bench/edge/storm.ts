import { type Codec, ElfinError, type ObjectStore, type PixelImage } from '@elfin/core';
import {
  createEdge,
  createLocalPlace,
  createMemoryStore,
  createSources,
  type PixelRestorer,
  parseTransform,
  type Source,
  type SourceReply,
} from '@elfin/edge';

const keys = [{ id: 'k', secret: new Uint8Array(32).fill(1) }];
const ORIGIN = 'https://origin.example';
const wait = (ms: number) => new Promise((wake) => setTimeout(wake, ms));

/** Mulberry32: the same storm every time. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A one-colour image: its colour tells which source a result came from, its channel order whether it was restored. */
function plain(index: number): PixelImage {
  const data = new Uint8Array(32 * 32 * 3);
  for (let at = 0; at < data.length; at += 3) data.set([(index * 5) % 256, 40, 200], at);
  return { width: 32, height: 32, channels: 3, data };
}

/** Swaps red and blue, after a while. */
const swapper = (work: () => Promise<void>): PixelRestorer => ({
  async restore(image, { task }) {
    await work();
    const data = Uint8Array.from(image.data, (_, at) => image.data[at - (at % 3) + (2 - (at % 3))] as number);
    const report = {
      task: task === 'auto' ? 'derain' : task,
      model: 'swap',
      digest: '0'.repeat(64),
      backend: { provider: 'bench' },
      tiling: 'whole',
      tiles: 1,
    } as const;
    return { image: { ...image, data }, report };
  },
});

const models = {
  resolve: async () => ({
    name: 'swap',
    digest: '0'.repeat(64),
    manifest: {} as never,
    bytes: async () => new Uint8Array(),
  }),
};

export const storm = {
  /** 1,000 requests at once for one cold URL, over four edges that share a store: how often was it made? */
  async cold({
    codec,
    createStore,
  }: {
    readonly folder: string;
    readonly codec: Codec;
    readonly createStore: () => ObjectStore;
  }) {
    let runs = 0;
    const png = await codec.encode(plain(1), { format: 'png' });
    const source: Source = {
      read: async (): Promise<SourceReply> => ({
        state: 'found',
        pinned: false,
        revision: {},
        body: new Response(png as Uint8Array<ArrayBuffer>).body as ReadableStream<Uint8Array>,
      }),
    };
    const restorer = swapper(async () => {
      runs += 1;
      await wait(300);
    });
    const edges = Array.from({ length: 4 }, () =>
      createEdge({
        keys,
        source: createSources({ allow: [ORIGIN], sources: { http: source } }),
        store: createStore(),
        places: [createLocalPlace({ codec, restorer })],
        codec,
        models,
      }),
    );
    const url = await edges[0]?.signer?.sign(
      parseTransform(`restore=derain,format=png,pending=wait/${encodeURIComponent(`${ORIGIN}/a.png`)}`),
    );
    const answers = await Promise.all(
      Array.from({ length: 1000 }, (_, i) => edges[i % 4]?.fetch(new Request(`http://x${url}`))),
    );
    const statuses = new Set(answers.map((answer) => answer?.status));
    return { requests: 1000, edges: 4, runs, statuses: [...statuses] };
  },

  /** Mixed requests while origins stall and fail, workers die and the store errs: every body shown must be the right one. */
  async mixed({ requests, codec }: { readonly requests: number; readonly codec: Codec }) {
    const next = random(7);
    const sources = await Promise.all(
      Array.from({ length: 50 }, (_, index) => codec.encode(plain(index), { format: 'png' })),
    );
    const source: Source = {
      async read(name): Promise<SourceReply> {
        const luck = next();
        if (luck < 0.03) throw new ElfinError('SOURCE_FAILED', 'down');
        if (luck < 0.05) {
          await wait(40);
          throw new ElfinError('SOURCE_TIMEOUT', 'stalled');
        }
        const bytes = name.kind === 'http' ? sources[Number(name.url.pathname.slice(1))] : undefined;
        if (!bytes) throw new ElfinError('SOURCE_MISSING', 'none');
        // Some bodies break off: what has arrived is half an image.
        const sent = luck < 0.07 ? bytes.slice(0, bytes.length / 2) : bytes;
        return {
          state: 'found',
          pinned: false,
          revision: {},
          body: new Response(sent as Uint8Array<ArrayBuffer>).body as ReadableStream<Uint8Array>,
        };
      },
    };
    const back = createMemoryStore({ maxBytes: 400_000 });
    const flaky =
      <A extends unknown[], R>(call: (...given: A) => Promise<R>) =>
      (...given: A) =>
        next() < 0.03 ? Promise.reject(new ElfinError('STORE_FAILED', 'down')) : call(...given);
    const store: ObjectStore = {
      head: back.head,
      get: flaky(back.get),
      put: flaky(back.put),
      delete: back.delete,
      list: back.list,
    };
    const restorer = swapper(async () => {
      const luck = next();
      if (luck < 0.05) throw new ElfinError('RUNTIME_FAILED', 'the worker was killed');
      await wait(luck < 0.1 ? 60 : 1);
    });
    const edge = createEdge({
      keys,
      source: createSources({ allow: [ORIGIN], sources: { http: source } }),
      store,
      coordination: createMemoryStore(),
      places: [createLocalPlace({ codec, restorer })],
      codec,
      models,
      syncWait: 30,
      sourceTtl: 1,
      concurrency: 8,
      queue: 512,
    });
    const statuses = new Map<string, number>();
    let wrong = 0;
    let cachedInterim = 0;
    async function one(): Promise<void> {
      const index = Math.floor(next() * 50);
      const restore = next() < 0.8;
      const width = 8 + Math.floor(next() * 8);
      const url = await edge.signer?.sign(
        parseTransform(
          `restore=${restore ? 'derain' : 'none'},width=${width},format=png/${encodeURIComponent(`${ORIGIN}/${index}`)}`,
        ),
      );
      const response = await edge.fetch(new Request(`http://x${url}`));
      const bytes = new Uint8Array(await response.arrayBuffer());
      const status = response.headers.get('restore-status')?.split(';')[0] ?? '';
      const label = `${response.status} ${status || (response.headers.get('elfin-error') ?? '')}`;
      statuses.set(label, (statuses.get(label) ?? 0) + 1);
      const final = status === 'restored' || status === 'passthrough';
      if (!final && response.headers.get('cache-control') !== 'no-store' && response.status === 200) cachedInterim += 1;
      if (response.status !== 200) return;
      const image = await codec.decode(bytes);
      const [red, , blue] = image.data;
      const colour = (index * 5) % 256;
      const expected = status === 'restored' ? [200, colour] : [colour, 200];
      if (
        red !== expected[0] ||
        blue !== expected[1] ||
        image.width !== width ||
        (status === 'restored') !== (restore && final)
      )
        wrong += 1;
    }
    const rss: number[] = [];
    let left = requests;
    const lane = async () => {
      while (left-- > 0) {
        await one();
        if (left % 1000 === 0) {
          globalThis.gc?.();
          rss.push(Math.round(process.memoryUsage().rss / 1e6));
        }
      }
    };
    await Promise.all(Array.from({ length: 32 }, lane));
    await edge.drain();
    return { requests, statuses: Object.fromEntries(statuses), wrong, cachedInterim, rssMegabytes: rss };
  },
};
