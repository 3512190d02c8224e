#!/usr/bin/env node
// Installed, the bundle runs in this very process. In a checkout the sources run, by a Node that strips types.
import { spawn } from 'node:child_process';
import * as modules from 'node:module';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const installed = import.meta.url.includes('/node_modules/');
// What was compiled once is kept, which halves the time to start: in this package's own folder, to go away with it, and in a
// checkout where other tools keep theirs. NODE_COMPILE_CACHE moves it; where nothing may be written, nothing is kept.
const own = installed ? '../.cache/compiled' : '../../../node_modules/.cache/elfin/compiled';
modules.enableCompileCache?.(process.env.NODE_COMPILE_CACHE ?? fileURLToPath(new URL(own, import.meta.url)));
const kept = modules.getCompileCacheDir?.();

if (installed) {
  await import('../dist/main.js');
} else {
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
  const local = fileURLToPath(new URL('../../../node_modules/.bin/node', import.meta.url));
  const node = process.features.typescript ? process.execPath : local;
  const child = spawn(node, ['--conditions=@elfin/source', main, ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, ...(kept && { NODE_COMPILE_CACHE: dirname(kept) }) },
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => console.error(`elfin: run npm install first (${error.message})`));
  child.on('close', (code, signal) => {
    // What a signal ended is told as shells tell it.
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
  });
}
