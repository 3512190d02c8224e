import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';
import { findChromium } from './test/helpers/find-chromium.ts';

// Tests and types read sources through this export condition: nothing has to be built first.
const condition = '@elfin/source';
const conditions = [condition, 'node', 'import', 'default'];

// workerd's local runtime stays on loopback.
process.env.CLOUDFLARE_CF_FETCH_ENABLED = 'false';
process.env.WRANGLER_SEND_METRICS = 'false';

// Some hundred processes load the same modules: what the first of them compiled need not be compiled anew.
process.env.NODE_COMPILE_CACHE ??= resolve('node_modules/.cache/elfin/compiled');

// Where no Chromium runs, one skipped test says so for all of them.
const needChromium = (await findChromium()) ? [] : ['test/runtime/browser/!(chromium).test.ts'];

/** Tests run in Node, in forks: what they set in the process dies with it. */
const node = {
  environment: 'node' as const,
  testTimeout: 120_000,
  hookTimeout: 180_000,
  pool: 'forks' as const,
  // By default one fork on two cores; much of the suite waits for servers and browsers.
  maxWorkers: 2,
  execArgv: [`--conditions=${condition}`],
};

export default defineConfig({
  ssr: { resolve: { conditions } },
  resolve: { conditions },
  test: {
    reporters: ['default', ['json', { outputFile: 'node_modules/.cache/elfin/test-results.json' }]],
    projects: [
      {
        extends: true,
        test: {
          ...node,
          name: 'units',
          include: ['packages/*/src/**/*.test.ts'],
          exclude: ['**/node_modules/**', '**/dist/**'],
          // A hundred small files, none of which leaves anything behind: a fork of its own would take longer than most.
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          ...node,
          name: 'node',
          include: ['apps/**/*.test.ts', 'test/**/*.test.ts'],
          exclude: ['**/node_modules/**', '**/dist/**', 'test/services/**', ...needChromium],
        },
      },
      'test/runtime/workerd/vitest.config.ts',
    ],
  },
});
