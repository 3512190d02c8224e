import { defineConfig } from 'vitest/config';
import base from './vitest.config.ts';

const { projects: [, node] = [], ...shared } = base.test ?? {};
const inherited = typeof node === 'object' && 'test' in node ? node.test : {};

// Tests against real servers, built or fetched on first use: `npm run test:services`. One file at a time, since they
// share the machine with those servers.
export default defineConfig({
  ...base,
  test: {
    ...shared,
    ...inherited,
    name: 'services',
    include: ['test/services/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 900_000,
    reporters: ['default'],
  },
});
