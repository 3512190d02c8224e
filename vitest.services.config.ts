import { mergeConfig } from 'vitest/config';
import base from './vitest.config.ts';

// Tests against real servers, built or fetched on first use: `npm run test:services`. One file at a time, since they
// share the machine with those servers.
const merged = mergeConfig(base, { test: { fileParallelism: false, testTimeout: 300_000, hookTimeout: 900_000 } });
merged.test.include = ['test/services/**/*.test.ts'];
merged.test.exclude = ['**/node_modules/**', '**/dist/**'];

export default merged;
