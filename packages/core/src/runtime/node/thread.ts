import { Worker } from 'node:worker_threads';
import { ElfinError } from '../../base/errors.ts';
import type { Engine } from '../engine.ts';
import { awaitNativeCalls, createGuard } from './guard.ts';
import { callEngine } from './port.ts';

/**
 * An engine in a worker thread of its own, started at the first `load`. The thread keeps the process alive only while a call
 * is under way. `idle` ends it once no call is under way; the next `load` starts another.
 */
export function createThreadEngine(): { readonly engine: Engine; readonly idle: () => Promise<void> } {
  let thread: Thread | undefined;
  // A handle belongs to the thread that made it: after one has died, its handles must not reach the next one's graphs.
  const owners = new Map<number, { readonly engine: Engine; readonly handle: number }>();
  let next = 1;
  const owner = (handle: number) => {
    const found = owners.get(handle);
    if (!found) throw new ElfinError('DISPOSED', 'The session is closed; open the model again.');
    return found;
  };
  return {
    engine: {
      async load(onnx, options) {
        if (!thread?.alive()) thread = start();
        const { engine } = thread;
        const loaded = await engine.load(onnx, options);
        const handle = next++;
        owners.set(handle, { engine, handle: loaded.handle });
        return { ...loaded, handle };
      },
      async run(handle, feeds, outputs) {
        const { engine, handle: own } = owner(handle);
        return engine.run(own, feeds, outputs);
      },
      async unload(handle) {
        const { engine, handle: own } = owner(handle);
        owners.delete(handle);
        await engine.unload(own);
      },
    },
    async idle() {
      const ending = thread;
      thread = undefined;
      await ending?.end();
    },
  };
}

interface Thread {
  readonly engine: Engine;
  alive(): boolean;
  end(): Promise<void>;
}

function start(): Thread {
  // Beside this file, both in the sources and in the bundle.
  const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './node-worker.js';
  const guard = createGuard();
  // Flags of the program, such as --input-type, are not for this file.
  const worker = new Worker(new URL(file, import.meta.url), { workerData: guard, execArgv: [] });
  worker.unref();
  const onExit = () => awaitNativeCalls(guard);
  process.once('exit', onExit);
  const endpoint = callEngine({ postMessage: (message, transfer) => worker.postMessage(message, transfer) }, (calls) =>
    calls > 0 ? worker.ref() : worker.unref(),
  );
  let alive = true;
  const lost = (reason: string, cause?: unknown) => {
    if (!alive) return;
    alive = false;
    process.removeListener('exit', onExit);
    endpoint.fail(
      new ElfinError('RUNTIME_FAILED', `The thread that runs the network ended: ${reason}. Try again.`, { cause }),
    );
  };
  worker.on('message', (message) => endpoint.receive(message));
  worker.on('error', (error) => lost(error instanceof Error ? error.message : String(error), error));
  worker.on('exit', (code) => lost(`exit code ${code}`));
  return {
    engine: endpoint.engine,
    alive: () => alive,
    async end() {
      await endpoint.settled();
      await worker.terminate();
    },
  };
}
