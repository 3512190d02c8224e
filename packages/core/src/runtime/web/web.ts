import type { InferenceSession } from 'onnxruntime-common';
import { ElfinError } from '../../base/errors.ts';
import type { Engine } from '../engine.ts';
import { type Candidate, createLocalRuntime, type LocalRuntime } from '../local.ts';
import { createOrtEngine, type Ort } from '../ort/ort.ts';
import { nameThreads } from '../ort/threads.ts';

export interface WebRuntimeOptions {
  /** `auto` (default): WebGPU where the browser has an adapter, else wasm. Anything else: that and nothing else. */
  readonly device?: 'auto' | 'webgpu' | 'wasm';
  /** Threads of the wasm provider; as many as the machine has by default, one where shared memory is not to be had. */
  readonly threads?: number;
  /**
   * The folder, as a URL that ends in `/`, from which the page serves onnxruntime-web's `ort.*.bundle.min.mjs` and `.wasm`
   * files. By default they are the bundler's business. Of no use in Node.
   */
  readonly assets?: string;
  /** Why WebGPU must not be used, although the browser has it; reported as the reason. */
  readonly avoid?: string;
  /**
   * onnxruntime-web, where the browser's import does not suit: `() => import('onnxruntime-web')` in Node,
   * or whatever a bundler or an isolate needs.
   */
  readonly ort?: () => Promise<Ort>;
}

/**
 * Runs the network with onnxruntime-web, an optional peer that is loaded at the first `open`; in browsers and in Node.
 * The wasm provider works in the calling thread: run it in a worker where that matters.
 *
 * onnxruntime-web has one set of wasm threads a realm, fixed when it is first used; `backend` reports the true number.
 * Errors: OPTION_INVALID here; RUNTIME_UNAVAILABLE from `open` where onnxruntime-web or the device asked for is missing.
 */
export function createWebRuntime(options: WebRuntimeOptions = {}): LocalRuntime {
  const { device = 'auto', threads, assets, avoid } = options;
  if (!['auto', 'webgpu', 'wasm'].includes(device)) {
    throw new ElfinError('OPTION_INVALID', `device must be auto, webgpu or wasm, not ${device}.`);
  }
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= 1024)) {
    throw new ElfinError('OPTION_INVALID', `threads must be a whole number from 1 to 1024, not ${threads}.`);
  }
  let gpu: Promise<string | Gpu> | undefined;
  let loading: Promise<Ort> | undefined;
  const findGpu = () =>
    (gpu ??=
      device === 'wasm' || avoid !== undefined
        ? Promise.resolve(avoid ?? 'wasm was asked for')
        : lookForWebGpu(device === 'webgpu'));
  const load = () => {
    loading ??= (options.ort ?? (async () => importOrtWeb(typeof (await findGpu()) !== 'string', assets)))().catch(
      (error) => {
        loading = undefined;
        throw error;
      },
    );
    return loading;
  };
  const look = async () => surveyWeb(await load(), device, await findGpu(), configure(await load(), threads, assets));
  let survey: ReturnType<typeof surveyWeb> | undefined;
  return createLocalRuntime({
    name: 'onnxruntime-web',
    engine: takingTurns(createOrtEngine(load)),
    survey: () => {
      // What could not be loaded once is tried anew the next time.
      survey ??= look().catch((error) => {
        survey = undefined;
        throw error;
      });
      return survey;
    },
  });
}

/**
 * The engine, with a pause after each run. wasm computes in the calling thread and gives its promises no turn of the event
 * loop, so that a whole image would be one: messages to a worker, an abort among them, would only be read at its end.
 */
function takingTurns(engine: Engine): Engine {
  return {
    ...engine,
    async run(handle, feeds, outputs) {
      try {
        return await engine.run(handle, feeds, outputs);
      } finally {
        await new Promise((resolve) => setTimeout(resolve));
      }
    },
  };
}

async function surveyWeb(
  ort: Ort,
  device: 'auto' | 'webgpu' | 'wasm',
  gpu: string | Gpu,
  { threads, reason }: { threads: number; reason?: string },
): Promise<{ implementation: string; candidates: Candidate[]; declined: { provider: string; reason: string }[] }> {
  const declined: { provider: string; reason: string }[] = [];
  const candidates: Candidate[] = [];
  const options: InferenceSession.SessionOptions = { graphOptimizationLevel: 'all', logSeverityLevel: 4 };
  if (device !== 'wasm') {
    if (typeof gpu === 'string') declined.push({ provider: 'webgpu', reason: gpu });
    else {
      const session = { ...options, executionProviders: ['webgpu'] };
      const candidate: Candidate = { provider: 'webgpu', threads, target: 'webgpu', probe: true, options: session };
      if (gpu.half) candidates.push({ ...candidate, precision: 'float16' });
      candidates.push(candidate);
    }
  }
  if (device !== 'webgpu') {
    const session = { ...options, executionProviders: ['wasm'] };
    candidates.push({ provider: 'wasm', threads, target: 'wasm', probe: false, options: session });
    if (reason) declined.push({ provider: 'wasm threads', reason });
  }
  return { implementation: `onnxruntime-web ${ort.env.versions.web}`, candidates, declined };
}

// Which settings a copy of onnxruntime-web was started with: they are its own global state and cannot change afterwards.
const started = new WeakMap<object, number>();

function configure(
  ort: Ort,
  wanted: number | undefined,
  assets: string | undefined,
): { threads: number; reason?: string } {
  const before = started.get(ort.env);
  if (before !== undefined) {
    return wanted === undefined || wanted === before
      ? { threads: before }
      : {
          threads: before,
          reason: `onnxruntime-web already runs with ${before} in this realm; ${wanted} need another`,
        };
  }
  const shared = typeof SharedArrayBuffer !== 'undefined' && globalThis.crossOriginIsolated !== false;
  const threads = shared ? (wanted ?? globalThis.navigator?.hardwareConcurrency ?? 1) : 1;
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.proxy = false;
  if (assets !== undefined) ort.env.wasm.wasmPaths = assets;
  started.set(ort.env, threads);
  return shared
    ? { threads }
    : {
        threads,
        reason: 'the page is not cross-origin isolated (headers COOP and COEP), so there is no shared memory',
      };
}

/** The build with WebGPU is twice as large: it is loaded only where it will be used. */
async function importOrtWeb(webgpu: boolean, assets: string | undefined): Promise<Ort> {
  try {
    if (assets !== undefined) {
      // A variable, so that bundlers leave the import to the browser.
      const file = new URL(`ort.${webgpu ? 'webgpu' : 'wasm'}.bundle.min.mjs`, assets).href;
      return await import(/* @vite-ignore */ /* webpackIgnore: true */ file);
    }
    // Only in a worker: that is where a bundler may have put both of us into one file.
    if (typeof document === 'undefined') nameThreads(webgpu ? 'webgpu' : 'wasm');
    return webgpu ? await import('onnxruntime-web/webgpu') : await import('onnxruntime-web/wasm');
  } catch (error) {
    throw new ElfinError(
      'RUNTIME_UNAVAILABLE',
      `onnxruntime-web cannot be loaded; ${assets === undefined ? 'run: npm install onnxruntime-web, or set assets' : `are its files under ${assets}?`} (${error instanceof Error ? error.message : error})`,
      { cause: error },
    );
  }
}

interface Gpu {
  /** It computes in float16. */
  readonly half: boolean;
}

/** What the browser's adapter can do, or why there is none. One in software counts only where `any` is good enough. */
export async function lookForWebGpu(any: boolean): Promise<string | Gpu> {
  interface Adapter {
    readonly features: ReadonlySet<string>;
    readonly info?: { readonly isFallbackAdapter?: boolean };
    /** Where browsers had it before. */
    readonly isFallbackAdapter?: boolean;
  }
  const gpu = (globalThis.navigator as { gpu?: { requestAdapter(): Promise<Adapter | null> } } | undefined)?.gpu;
  if (!gpu) return 'this browser or runtime has no WebGPU';
  const adapter = await gpu.requestAdapter().catch(() => null);
  if (!adapter) return 'WebGPU found no adapter';
  if (!any && (adapter.info?.isFallbackAdapter || adapter.isFallbackAdapter)) {
    // 150 s and not done where wasm took 2.3 s.
    return 'WebGPU is software here, slower than wasm';
  }
  return { half: adapter.features.has('shader-f16') };
}
