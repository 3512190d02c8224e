import type { InferenceSession } from 'onnxruntime-common';
import { ElfinError } from '../base/errors.ts';
import { createLimiter } from '../base/limiter.ts';
import { elements } from '../base/tensor.ts';
import type { ModelRef } from '../model/models.ts';
import { createEmitter, type Target } from './emit.ts';
import type { Engine, Loaded } from './engine.ts';
import type { Backend, Feeds, Runtime, SessionOptions } from './runtime.ts';
import { createSession, type Opened } from './session.ts';
import { createSessionPool } from './session-pool.ts';

/** One way to run graphs here. */
export interface Candidate {
  readonly provider: string;
  readonly threads: number;
  /** What the graph is laid out for. */
  readonly target: Target;
  /** Arithmetic of the graph; `float32` by default. */
  readonly precision?: 'float16';
  readonly options: InferenceSession.SessionOptions;
  /** Run once on zeros before it is trusted: a driver may load a graph and then fail, or give NaN. */
  readonly probe: boolean;
}

/** What a local runtime is made of. */
export interface LocalRuntimeParts {
  readonly name: string;
  readonly engine: Engine;
  /** Ends the thread that holds the engine, when no session is left. */
  readonly idle?: (() => Promise<void>) | undefined;
  /** The ways to run a graph, best first, and those that are out of the question, with the reason. */
  readonly survey: () => Promise<{
    readonly implementation: string;
    readonly candidates: readonly Candidate[];
    readonly declined: Backend['declined'];
  }>;
}

/** A runtime that holds native resources in this process. */
export interface LocalRuntime extends Runtime, AsyncDisposable {
  /** Closes every session that is still open. */
  dispose(): Promise<void>;
}

/**
 * Runtime over an engine in this process: emits the graph, takes the first candidate that works, and shares one native
 * session among all who open the same model with the same options, until the last of them has disposed it.
 */
export function createLocalRuntime({ name, engine, survey, idle }: LocalRuntimeParts): LocalRuntime {
  const emit = createEmitter();
  const queue = createLimiter(1);
  // A provider that failed once is not tried again for every model.
  const failed = new Map<string, string>();
  const failures = () => [...failed].map(([provider, reason]) => ({ provider, reason }));

  async function load(model: ModelRef, options: SessionOptions): Promise<Opened> {
    const { implementation, candidates, declined } = await survey();
    for (const { provider, threads, target, precision, options: session, probe } of candidates) {
      const name = precision === 'float16' ? `${provider} float16` : provider;
      if (failed.has(name)) continue;
      const onnx = await emit(model, options, target, precision);
      let loaded: Loaded | undefined;
      try {
        loaded = await engine.load(onnx, session);
        if (probe) await tryOut(engine, loaded, options);
        return {
          engine,
          loaded,
          backend: {
            provider,
            threads,
            implementation,
            declined: [...declined, ...failures()],
            ...(precision && { precision }),
          },
        };
      } catch (error) {
        if (loaded) await engine.unload(loaded.handle).catch(() => {});
        // Without a trial the candidate is the one that always works: what failed is the graph or the memory.
        if (!probe) throw error;
        failed.set(name, error instanceof Error ? error.message : String(error));
      }
    }
    const reasons = [...declined, ...failures()].map(({ provider, reason }) => `${provider}: ${reason}`);
    throw new ElfinError('RUNTIME_UNAVAILABLE', `${name} has nothing to run the network on. ${reasons.join('; ')}`);
  }

  const open = async (model: ModelRef, options: SessionOptions) => {
    const again = () => load(model, options);
    return createSession(await queue.run(again), again, queue);
  };
  // Nothing is kept here: whoever wants to keep a graph keeps its session.
  const pool = createSessionPool({ open }, { keep: 0, onEmpty: idle });
  const runtime: LocalRuntime = {
    name,
    open: (model, options, context = {}) => pool.acquire(model, options, context),
    async dispose() {
      await pool.dispose().catch(() => {});
      await idle?.();
    },
    [Symbol.asyncDispose]: () => runtime.dispose(),
  };
  return runtime;
}

const PROBE_SIDE = 64;

async function tryOut(engine: Engine, loaded: Loaded, { io, shape }: SessionOptions): Promise<void> {
  const { batch = 1, height = PROBE_SIDE, width = PROBE_SIDE } = shape ?? {};
  const planes = (channels: number, h: number, w: number) =>
    io === 'float' ? [batch, channels, h, w] : [batch, h, w, channels];
  const shapes: Record<string, readonly number[]> = {
    image: planes(3, height, width),
    quadrants: planes(12, height / 2, width / 2),
    core: planes(1, height / 2, width / 2),
  };
  const feeds = Object.fromEntries(
    loaded.inputs.map(({ name, type, shape: declared }) => {
      const sides = shapes[name] ?? declared.map(Number);
      const data = type === 'uint8' ? new Uint8Array(elements(sides)) : new Float32Array(elements(sides));
      return [name, { type, shape: sides, data }];
    }),
  ) as Feeds;
  const outputs = await engine.run(loaded.handle, feeds);
  for (const [name, { data }] of Object.entries(outputs)) {
    if (!data.every((value) => Number.isFinite(value))) {
      throw new ElfinError('RUNTIME_FAILED', `a trial run gave values in ${name} that are not numbers`);
    }
  }
}
