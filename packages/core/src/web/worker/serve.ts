import { loadPart } from '../../base/lazy-import.ts';
import type { ModelRef, ModelSize, Models } from '../../model/models.ts';
import { createRestorer, type Restored, type RestoreInput, type Restorer } from '../../restorer.ts';
import { createWebRuntime, lookForWebGpu } from '../../runtime/web/web.ts';
import { readBitmap } from '../bitmap.ts';
import type { Calls, Questions, Settings, ToPage, ToWorker, WireInput, WireModel, WireOptions } from '../messages.ts';
import { fromWire, movable, toWire } from '../wire.ts';

/** What a dedicated worker's global scope offers. */
export interface WorkerScope {
  postMessage(message: ToPage, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
}

/** The worker's side of the page's restorer: codec, tiling and sessions live here. */
export function serveRestorer(scope: WorkerScope): void {
  const aborts = new Map<number, AbortController>();
  const asked = new Map<number, { resolve(value: never): void; reject(error: Error): void }>();
  let questions = 0;
  let served: Promise<Served> | undefined;
  const tell = (message: ToPage, transfer: Transferable[] = []) => scope.postMessage(message, transfer);

  function question<N extends keyof Questions>(name: N, ask: Questions[N]['ask']): Promise<Questions[N]['answer']> {
    const id = ++questions;
    return new Promise((resolve, reject) => {
      asked.set(id, { resolve, reject });
      tell({ kind: 'question', id, name, ask } as ToPage);
    });
  }

  async function call(id: number, message: Extract<ToWorker, { kind: 'call' }>, signal: AbortSignal): Promise<void> {
    if (message.name === 'encode') {
      const { encodeImage } = await loadPart(import('./encode.ts'));
      return tell({ kind: 'result', id, value: await encodeImage(message.ask, signal) });
    }
    const { restorer, bind, gpu } = await served!;
    if (message.name === 'warmup') {
      const { task, model } = message.ask;
      const value = await restorer.warmup({ task, signal, ...(model && { model: bind(model) }) });
      return tell({ kind: 'result', id, value });
    }
    const { input, options, tiles } = message.ask;
    const { model, ...plain } = options;
    const restored = await restorer.restore(opened(input), {
      ...(gpu ? fixedShapes(plain) : plain),
      ...(model && { model: bind(model) }),
      signal,
      onProgress: (progress) => tell({ kind: 'progress', id, progress }),
      ...(tiles && { onTile: (tile) => tell({ kind: 'tile', id, tile }, movable(tile.data)) }),
    });
    const value = answerOf(restored);
    tell({ kind: 'result', id, value }, movable(value.image.data, value.prior.data));
  }

  scope.onmessage = async ({ data: message }) => {
    if (message.kind === 'settings') {
      watchRuntimeFiles((download) => tell({ kind: 'download', download }));
      watchDevices((reason) => tell({ kind: 'lost', reason }));
      served = serve(message.settings, question);
    } else if (message.kind === 'answer') {
      asked.get(message.id)?.resolve(message.value as never);
      asked.delete(message.id);
    } else if (message.kind === 'refusal') {
      asked.get(message.id)?.reject(fromWire(message.error));
      asked.delete(message.id);
    } else if (message.kind === 'abort') {
      aborts.get(message.id)?.abort();
    } else {
      const controller = new AbortController();
      aborts.set(message.id, controller);
      await call(message.id, message, controller.signal)
        .catch((error) => tell({ kind: 'failure', id: message.id, error: toWire(error) }))
        .finally(() => aborts.delete(message.id));
    }
  };
  tell({ kind: 'ready' });
}

interface Served {
  readonly restorer: Restorer;
  readonly bind: (model: ModelSize | WireModel) => ModelSize | ModelRef;
  readonly gpu: boolean;
}

async function serve(
  { device, threads, assets, classify, avoid }: Settings,
  question: <N extends keyof Questions>(name: N, ask: Questions[N]['ask']) => Promise<Questions[N]['answer']>,
): Promise<Served> {
  const weights = new Map<string, Promise<Uint8Array>>();
  const fetched = ({ digest }: WireModel) => {
    const known = weights.get(digest) ?? question('weights', { digest });
    weights.set(digest, known);
    return known;
  };
  const refOf = (model: WireModel): ModelRef => {
    // On their way while ONNX Runtime is; who asks for them learns of a failure.
    fetched(model).catch(() => {});
    import('../../model/network.ts').catch(() => {});
    return {
      ...model,
      bytes: () =>
        fetched(model).catch((error) => {
          weights.delete(model.digest);
          throw error;
        }),
    };
  };
  const models: Models = { resolve: async (task, size) => refOf(await question('model', { task, size })) };
  const runtime = createWebRuntime({
    device,
    ...(threads !== undefined && { threads }),
    ...(assets !== undefined && { assets }),
    ...(avoid !== undefined && { avoid }),
  });
  const restorer = createRestorer({
    models,
    runtime,
    // Files of their own, fetched by those who need them.
    codec: {
      decode: async (bytes, options) => {
        const { decodeByCanvas } = await loadPart(import('../../image/codecs/canvas-decode.ts'));
        return decodeByCanvas(bytes, options);
      },
    },
    classify: async (thumbnail) =>
      classify
        ? question('classify', { thumbnail })
        : (await loadPart(import('../../classify/classify.ts'))).classify(thumbnail),
  });
  const gpu =
    device !== 'wasm' && avoid === undefined && typeof (await lookForWebGpu(device === 'webgpu')) !== 'string';
  const bind = (model: ModelSize | WireModel) => (typeof model === 'string' ? model : refOf(model));
  return { restorer, bind, gpu };
}

/** WebGPU plans its buffers once a shape: with one shape an image they are reused from tile to tile. */
function fixedShapes(options: Omit<WireOptions, 'model'>): Omit<WireOptions, 'model'> {
  const { tiling } = options;
  return { ...options, tiling: { uniform: true, ...(typeof tiling === 'string' ? { mode: tiling } : tiling) } };
}

function opened(input: WireInput): RestoreInput {
  return typeof ImageBitmap !== 'undefined' && input instanceof ImageBitmap
    ? readBitmap(input)
    : (input as RestoreInput);
}

function answerOf({ image, degradation, report, ...beside }: Restored): Calls['restore']['answer'] {
  return { image, prior: degradation(), beside, report };
}

/** Counts the bytes of the runtime's wasm as ONNX Runtime fetches it: megabytes, of which it tells nothing itself. */
function watchRuntimeFiles(onProgress: (download: { loaded: number; total?: number }) => void): void {
  const plain = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const response = await plain(input, init);
    const url = input instanceof Request ? input.url : String(input);
    if (!response.ok || !response.body || !/\.wasm($|\?)/.test(url)) return response;
    const length = Number(response.headers.get('content-length'));
    const total = length > 0 && !response.headers.get('content-encoding') ? { total: length } : {};
    let loaded = 0;
    const counted = response.body.pipeThrough(
      new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
        transform(chunk, controller) {
          loaded += chunk.length;
          onProgress({ loaded, ...total });
          controller.enqueue(chunk);
        },
      }),
    );
    return new Response(counted, { status: response.status, headers: response.headers });
  };
}

interface Device {
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
}

/** ONNX Runtime makes its own device, and does not tell when it is lost. */
function watchDevices(onLost: (reason: string) => void): void {
  const { GPUAdapter } = globalThis as unknown as {
    GPUAdapter?: { prototype: { requestDevice(...given: unknown[]): Promise<Device> } };
  };
  if (!GPUAdapter) return;
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (...given) {
    const device = await requestDevice.apply(this, given);
    void device.lost.then(({ reason, message }) => {
      // `destroyed` is what ONNX Runtime does itself when it is done.
      if (reason !== 'destroyed') onLost(message || 'the browser took the device away');
    });
    return device;
  };
}
