import { defineConfig } from 'vitest/config';

const condition = '@elfin/source';

export default defineConfig({
  // Tests and types read sources through this export condition: nothing has to be built first.
  ssr: { resolve: { conditions: [condition, 'node', 'import', 'default'] } },
  resolve: { conditions: [condition, 'node', 'import', 'default'] },
  test: {
    include: ['packages/*/src/**/*.test.ts', 'apps/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**', 'test/services/**'],
    environment: 'node',
    testTimeout: 60_000,
    pool: 'forks',
    reporters: ['default', ['json', { outputFile: 'node_modules/.cache/elfin/test-results.json' }]],
    execArgv: [`--conditions=${condition}`],
  },
});
