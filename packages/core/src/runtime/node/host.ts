import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { ElfinError } from '../../base/errors.ts';
import { awaitNativeCalls, createGuard } from './guard.ts';
import type { MessageEndpoint } from './port.ts';
import { silenceTelemetry, silentEnvironment } from './telemetry.ts';
import type { HostData } from './worker.ts';

/** Where ONNX Runtime runs beside the caller; it keeps the process alive between `ref` and `unref`. */
export interface Host extends MessageEndpoint {
  ref(): void;
  unref(): void;
  end(): Promise<unknown>;
}

export interface HostEvents {
  receive(message: unknown): void;
  /** It ended, whoever ended it. */
  lost(reason: string, cause?: unknown): void;
}

export type HostKind = 'thread' | 'process';

/** Errors: RUNTIME_UNAVAILABLE where elfin's own file is not beside this one, as in a bundle. */
export function startHost(kind: HostKind, data: HostData, events: HostEvents): Host {
  // Beside this file, both in the sources and in the bundle.
  const file = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './node-worker.js', import.meta.url);
  if (file.protocol === 'file:' && !existsSync(file))
    throw new ElfinError(
      'RUNTIME_UNAVAILABLE',
      `${fileURLToPath(file)} does not exist: keep @elfin/core out of the bundle (Next.js: serverExternalPackages), or give createNodeRuntime({ thread: false }).`,
    );
  return kind === 'thread' ? startThread(file, data, events) : startProcess(file, data, events);
}

/** Guards of threads that live: one listener for all of them. */
const guards = new Set<SharedArrayBuffer>();
const awaitAll = () => {
  for (const guard of guards) awaitNativeCalls(guard);
};

function startThread(file: URL, data: HostData, { receive, lost }: HostEvents): Host {
  silenceTelemetry(true);
  const guard = createGuard();
  // Flags of the program, such as --input-type, are not for this file.
  const worker = new Worker(file, { workerData: { ...data, guard }, execArgv: [] });
  if (guards.size === 0) process.on('exit', awaitAll);
  guards.add(guard);
  const gone = (reason: string, cause?: unknown) => {
    guards.delete(guard);
    if (guards.size === 0) process.removeListener('exit', awaitAll);
    lost(reason, cause);
  };
  worker.on('message', receive);
  worker.on('error', (error) => gone(error instanceof Error ? error.message : String(error), error));
  worker.on('exit', (code) => gone(`exit code ${code}`));
  worker.unref();
  return {
    postMessage: (message, transfer) => worker.postMessage(message, transfer),
    ref: () => worker.ref(),
    unref: () => worker.unref(),
    end: () => worker.terminate(),
  };
}

/**
 * For callers in a worker thread: stopped inside the addon, that thread would bring the whole process down, and nothing can
 * be done about `worker.terminate()` from within. Messages are copied through a pipe, some 20 ms for a tile of 1024².
 */
function startProcess(file: URL, data: HostData, { receive, lost }: HostEvents): Host {
  const child = fork(file, [JSON.stringify(data)], {
    serialization: 'advanced',
    execArgv: [],
    env: silentEnvironment(),
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  child.on('message', receive);
  child.on('error', (error) => lost(error.message, error));
  child.on('exit', (code, signal) => lost(signal ?? `exit code ${code}`));
  const host: Host = {
    postMessage: (message) => void child.send(message as object, (error) => error && lost(error.message, error)),
    ref() {
      child.ref();
      child.channel?.ref();
    },
    unref() {
      child.unref();
      child.channel?.unref();
    },
    end: () =>
      new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve(undefined);
        child.once('exit', resolve);
        child.ref();
        child.kill('SIGKILL');
      }),
  };
  host.unref();
  return host;
}
