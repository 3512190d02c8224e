import { ElfinError, isElfinError, throwIfAborted } from '../../base/errors.ts';
import { checkPixels } from '../../image/pixels.ts';
import type { Download, ModelRef, ModelSize, Models } from '../../model/models.ts';
import type { Classify, RestoreOptions } from '../../restore/options.ts';
import type { Restorer, WarmupOptions } from '../../restorer.ts';
import type { Backend } from '../../runtime/runtime.ts';
import type { Progress } from '../../tiling/run.ts';
import type { WireModel } from '../messages.ts';
import { isReadOnce, toWireInput, type WebInput } from './input.ts';
import { type Link, openLink } from './link.ts';
import { toWebRestored, type WebRestored } from './result.ts';
import { startWorker } from './start-worker.ts';

export type { WebRestored } from './result.ts';

export interface WebRestorerOptions {
  readonly models: Models;
  /** `auto` (default): WebGPU where the browser has an adapter, else wasm. Anything else: that and nothing else. */
  readonly device?: 'auto' | 'webgpu' | 'wasm';
  /** Threads of wasm: all that the machine has by default, one where the page is not cross-origin isolated. */
  readonly threads?: number;
  /**
   * A folder that holds `web-worker.js` and onnxruntime-web's files, for pages without a bundler and for those who serve
   * everything themselves. Left out, bundlers find the files.
   */
  readonly assets?: string | URL;
  /** Starts the worker, where neither of the above fits. */
  readonly worker?: () => Worker;
  /** For `task: 'auto'`, instead of elfin's own. Called on the page's thread with a small picture. */
  readonly classify?: Classify;
}

export interface PreloadOptions extends WarmupOptions {
  /** Bytes of weights and of ONNX Runtime's wasm as they arrive. */
  readonly onProgress?: (progress: PreloadProgress) => void;
}

export interface PreloadProgress extends Download {
  readonly part: 'weights' | 'runtime';
}

export interface WebRestorer extends Omit<Restorer<WebInput>, 'infer' | 'apply'> {
  /** As `Restorer.restore`; the result can be written to a file and drawn. Errors: NETWORK_FAILED besides, for addresses. */
  restore(input: WebInput, options: RestoreOptions): Promise<WebRestored>;
  /** `warmup` with byte progress: fetches what is needed, checks it, opens the model. Errors: NETWORK_FAILED besides. */
  preload(options: PreloadOptions): Promise<Backend>;
}

// A device that is lost this often is not going to stay.
const MOST_LOSSES = 2;

/**
 * A restorer whose work is done in a Web Worker: decoding, tiling and the network never run on the page's thread. The worker
 * starts at the first call and is ended by `dispose`, which gives all its memory back. When the GPU is lost, the call under
 * way begins again in another worker, after two losses without WebGPU (`backend.declined` says so); where `device` is
 * `webgpu` it fails with RUNTIME_FAILED, as it does when the worker dies, and the next call starts afresh.
 * Errors: OPTION_INVALID, CONFIG_INVALID for a page without HTTPS, RUNTIME_UNAVAILABLE for a browser without OffscreenCanvas.
 */
export function createRestorer(options: WebRestorerOptions): WebRestorer {
  const { models, device = 'auto', threads, assets, classify } = options;
  if (!['auto', 'webgpu', 'wasm'].includes(device)) {
    throw new ElfinError('OPTION_INVALID', `device must be auto, webgpu or wasm, not ${device}.`);
  }
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= 1024)) {
    throw new ElfinError('OPTION_INVALID', `threads must be a whole number from 1 to 1024, not ${threads}.`);
  }
  if (!globalThis.crypto?.subtle) {
    throw new ElfinError('CONFIG_INVALID', 'elfin needs a secure page: serve it over HTTPS, or from localhost.');
  }
  if (typeof OffscreenCanvas === 'undefined') {
    throw new ElfinError('RUNTIME_UNAVAILABLE', 'There is no OffscreenCanvas here (Safari: 16.4).');
  }
  const folder =
    assets === undefined ? undefined : new URL(`${String(assets).replace(/\/?$/, '/')}`, location.href).href;
  const known = new Map<string, ModelRef>();
  const listeners = new Set<(progress: PreloadProgress) => void>();
  let link: Link | undefined;
  let losses = 0;
  let over: ElfinError | undefined;

  const announce = (progress: PreloadProgress) => {
    for (const listener of listeners) listener(progress);
  };
  const wire = (model: ModelRef): WireModel => {
    known.set(model.digest, model);
    const { name, digest, manifest } = model;
    return { name, digest, manifest };
  };
  const modelOf = (model: ModelSize | ModelRef | undefined) => {
    if (model === undefined) return {};
    return { model: typeof model === 'string' ? model : wire(model) };
  };

  function connect(): Link {
    if (over) throw over;
    if (link?.alive()) return link;
    const lost = losses >= MOST_LOSSES && device === 'auto';
    link = openLink({
      worker: options.worker ?? (() => startWorker(folder)),
      settings: {
        device,
        classify: classify !== undefined,
        ...(threads !== undefined && { threads }),
        ...(folder !== undefined && { assets: folder }),
        ...(lost && { avoid: `the device was lost ${losses} times` }),
      },
      answers: {
        model: async ({ task, size }) => wire(await models.resolve(task, size)),
        weights: ({ digest }) =>
          known.get(digest)!.bytes({ onProgress: (download) => announce({ part: 'weights', ...download }) }),
        classify: async ({ thumbnail }) => classify!(thumbnail),
      },
      onDownload: (download) => announce({ part: 'runtime', ...download }),
      onLost: () => losses++,
    });
    return link;
  }

  /** Does what needs a worker; with another one when the GPU was lost meanwhile, in the end without WebGPU. */
  async function steadily<T>(work: (link: Link) => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work(connect());
      } catch (error) {
        if (!(device === 'auto' && isElfinError(error) && error.data.lost === true)) throw error;
      }
    }
  }

  async function warm({ task, model, signal }: WarmupOptions): Promise<Backend> {
    throwIfAborted(signal);
    return steadily((worker) => worker.call('warmup', { task, ...modelOf(model) }, { signal }));
  }

  async function dispose(): Promise<void> {
    over ??= new ElfinError('DISPOSED', 'The restorer is disposed; make a new one.');
    link?.end(over);
    link = undefined;
    known.clear();
  }

  return {
    async restore(input, { signal, onProgress, onTile, model, ...given }) {
      throwIfAborted(signal);
      const reading = { ...given, ...(signal && { signal }) };
      // Sent again when the GPU is lost, which these cannot be.
      const source = isReadOnce(input) ? ((await toWireInput(input, reading)).input as Blob) : input;
      let fraction = 0;
      const progress =
        onProgress &&
        ((step: Progress) => {
          fraction = Math.max(fraction, step.fraction);
          onProgress({ ...step, fraction });
        });
      const { image, prior, beside, report } = await steadily(async (worker) => {
        const { input: sent, transfer } = await toWireInput(source, reading);
        const ask = { input: sent, options: { ...given, ...modelOf(model) }, tiles: onTile !== undefined };
        return worker.call('restore', ask, { signal, transfer, hooks: { progress, tile: onTile } });
      });
      const restored = { image: checkPixels(image), degradation: () => prior, ...beside, report };
      return toWebRestored(restored, (ask, ending) => connect().call('encode', ask, { signal: ending }));
    },
    warmup: warm,
    async preload({ onProgress, ...given }) {
      if (onProgress) listeners.add(onProgress);
      try {
        return await warm(given);
      } finally {
        if (onProgress) listeners.delete(onProgress);
      }
    },
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}
