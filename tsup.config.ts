import { defineConfig } from 'tsup';

export default defineConfig({
  entry: ['packages/core/src/index.ts'],
  format: 'esm',
  dts: true,
  outDir: 'packages/core/dist',
});
