import type { NodeEngine } from './native.ts';

/*
 * A worker thread that is stopped while it is inside onnxruntime-node takes the process down with it: the addon, back from
 * its work, throws into an environment that is gone (`terminate called after throwing an instance of 'Napi::Error'`). So
 * the thread says in shared memory when it is inside, and who wants to leave waits until it is not.
 */
const [BUSY, LEAVING] = [0, 1] as const;
// Long enough for any tile on any machine; only a hung driver takes longer.
const PATIENCE = 60_000;

export function createGuard(): SharedArrayBuffer {
  return new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT);
}

/** The thread's side: an engine that does not begin anything once the process is leaving. */
export function guardNativeCalls(engine: NodeEngine, guard: SharedArrayBuffer): NodeEngine {
  const state = new Int32Array(guard);
  const within = async <T>(work: () => Promise<T>): Promise<T> => {
    Atomics.add(state, BUSY, 1);
    try {
      if (!Atomics.load(state, LEAVING)) return await work();
    } finally {
      Atomics.sub(state, BUSY, 1);
      Atomics.notify(state, BUSY);
    }
    // Nobody is left to be told.
    return new Promise<never>(() => {});
  };
  return {
    describe: () => within(() => engine.describe()),
    load: (...given) => within(() => engine.load(...given)),
    run: (...given) => within(() => engine.run(...given)),
    unload: (...given) => within(() => engine.unload(...given)),
  };
}

/** The process' side, for its `exit` event: blocks until the thread is out of native code, and keeps it out. */
export function awaitNativeCalls(guard: SharedArrayBuffer): void {
  const state = new Int32Array(guard);
  Atomics.store(state, LEAVING, 1);
  const until = Date.now() + PATIENCE;
  for (let busy = Atomics.load(state, BUSY); busy > 0 && Date.now() < until; busy = Atomics.load(state, BUSY)) {
    Atomics.wait(state, BUSY, busy, until - Date.now());
  }
}
