#!/usr/bin/env node
// Installed, the bundle runs in this very process. In a checkout the sources run, by a Node that strips types.
import { spawn } from 'node:child_process';
import * as modules from 'node:module';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

// What was compiled once is kept in the system's temporary folder (NODE_COMPILE_CACHE moves it): half the time to start.
modules.enableCompileCache?.();
const kept = modules.getCompileCacheDir?.();

const installed = import.meta.url.includes('/node_modules/');
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
