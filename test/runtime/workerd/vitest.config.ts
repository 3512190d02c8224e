import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

const conditions = ['@elfin/source', 'workerd', 'worker', 'module', 'browser', 'import', 'default'];

/** Runs `*.spec.ts` of this folder inside workerd, with R2, the Cache API and Durable Objects of the local runtime. */
export default defineConfig({
  plugins: [
    cloudflareTest({
      main: new URL('./edge-worker.ts', import.meta.url).pathname,
      miniflare: {
        compatibilityDate: '2026-08-04',
        r2Buckets: ['RESULTS'],
        durableObjects: { RECORDS: { className: 'StoreObject', useSQLite: true } },
        modulesRules: [
          { type: 'CompiledWasm', include: ['**/*.wasm'] },
          { type: 'Data', include: ['**/*.safetensors'] },
        ],
      },
    }),
  ],
  resolve: { conditions },
  ssr: { resolve: { conditions }, noExternal: true },
  test: {
    name: 'workerd',
    include: ['**/*.spec.ts'],
    root: new URL('.', import.meta.url).pathname,
    testTimeout: 60_000,
  },
});
