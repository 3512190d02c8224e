import { env } from 'cloudflare:test';
import type { DurableObjectNamespace, R2Bucket } from '@cloudflare/workers-types';
import { createJsquashCodec } from '@elfin/core/workerd';
import { createTieredStore } from '@elfin/edge';
import { createCacheApiStore, createR2Store, type ObjectStore, probeConditionalWrites } from '@elfin/storage';
import { createDurableStore } from '@elfin/storage/workerd';
import jpegDecode from '@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm';
import jpegEncode from '@jsquash/jpeg/codec/enc/mozjpeg_enc.wasm';
import png from '@jsquash/png/codec/pkg/squoosh_png_bg.wasm';
import webpDecode from '@jsquash/webp/codec/dec/webp_dec.wasm';
import webpEncode from '@jsquash/webp/codec/enc/webp_enc_simd.wasm';
import { describe, expect, test } from 'vitest';
import { storeConformance } from '../../conformance/store.ts';
import { edgeProgram } from '../edge-program.ts';

const { RESULTS, RECORDS } = env as unknown as { RESULTS: R2Bucket; RECORDS: DurableObjectNamespace };
const codec = createJsquashCodec({ modules: { jpegDecode, jpegEncode, png, webpDecode, webpEncode } });
const cache = (caches as unknown as { default: Cache }).default;

let stores = 0;
edgeProgram('workerd', {
  codec,
  background: 'queue',
  store: () => {
    const prefix = `${++stores}/`;
    const front = createCacheApiStore({ cache, origin: `https://results-${stores}.invalid` });
    return createTieredStore(front, createR2Store({ bucket: RESULTS, prefix }));
  },
  // A job is named after its photo, and the tests share photos: each has records of its own.
  coordination: () => under(createDurableStore(RECORDS), `jobs-${++stores}/`),
});

test('Durable Objects and R2 keep their conditions', async () => {
  await expect(probeConditionalWrites(createDurableStore(RECORDS), 'probe/')).resolves.toBeUndefined();
  await expect(probeConditionalWrites(createR2Store({ bucket: RESULTS }), 'probe/')).resolves.toBeUndefined();
});

/** A store's own corner of another one. */
function under(store: ObjectStore, prefix: string): ObjectStore {
  return {
    ...store,
    head: (key, options) => store.head(prefix + key, options),
    get: (key, options) => store.get(prefix + key, options),
    put: (key, body, options) => store.put(prefix + key, body, options),
    delete: (key, options) => store.delete(prefix + key, options),
  };
}

describe('R2', () => storeConformance(() => createR2Store({ bucket: RESULTS, prefix: `conformance-${++stores}/` })));
describe('Durable Objects', () =>
  storeConformance(() => under(createDurableStore(RECORDS), `conformance-${++stores}/`), { lists: false }));
describe('the Cache API', () =>
  storeConformance(() => createCacheApiStore({ cache, origin: `https://conformance-${++stores}.invalid` }), {
    conditions: false,
  }));
