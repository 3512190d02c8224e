import { ElfinError } from '../../base/errors.ts';
import type { LocalRuntime } from '../local.ts';
import type { Ort } from '../ort/ort.ts';
import { createWebRuntime } from '../web/web.ts';

export interface WorkerdRuntimeOptions {
  /**
   * onnxruntime-web's `ort-wasm-simd-threaded.wasm` as an imported module, its memory unshared by {@link unshareMemory}:
   * an isolate may not compile wasm from bytes.
   */
  readonly wasm: WebAssembly.Module;
  /** Most bytes of wasm memory. Default 88 MiB: an isolate dies at 128 MiB, and what does not fit should throw instead. */
  readonly maxMemory?: number;
}

/** Handed to onnxruntime-web as the wasm's bytes: it stands for the imported module. */
const SENTINEL = 8;
const PAGE = 65_536;

/**
 * Clears the `shared` bit of a module's memory import, once, at build time. An isolate has one thread, and unshared
 * memory spares it the atomics' cost and the need for shared memory. Errors: RUNTIME_UNAVAILABLE where there is no such import.
 */
export function unshareMemory(wasm: Uint8Array): Uint8Array {
  const out = wasm.slice();
  let at = 8;
  const leb = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = out[at++] as number;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  const skipName = () => {
    const length = leb();
    at += length;
  };
  while (at < out.length) {
    const section = out[at++];
    const length = leb();
    const end = at + length;
    if (section === 2) {
      for (let count = leb(); count > 0; count--) {
        skipName();
        skipName();
        const kind = out[at++];
        if (kind === 2) {
          if (out[at] !== 3) break;
          out[at] = 1; // limits flag: 3 = maximum and shared, 1 = maximum
          return out;
        }
        if (kind === 0) leb();
        else if (kind === 1) {
          at += 1;
          if (leb() % 2 === 1) leb();
          leb();
        } else at += 2;
      }
    }
    at = end;
  }
  throw new ElfinError(
    'RUNTIME_UNAVAILABLE',
    'This wasm imports no shared memory; is it onnxruntime-web’s threaded build?',
  );
}

let prepared: Promise<Ort> | undefined;

/**
 * Loads onnxruntime-web around what an isolate cannot do: the module is the imported one, its memory unshared and bounded,
 * and nothing waits for threads that will never come. Once an isolate.
 */
function prepare({ wasm, maxMemory = 88 * 1024 * 1024 }: WorkerdRuntimeOptions): Promise<Ort> {
  const instantiate = WebAssembly.instantiate as (...call: unknown[]) => Promise<unknown>;
  const Memory = WebAssembly.Memory;
  const maximum = Math.floor(maxMemory / PAGE);
  const isSentinel = (source: unknown) =>
    (source instanceof Uint8Array || source instanceof ArrayBuffer) && source.byteLength === SENTINEL;

  Object.assign(WebAssembly, {
    instantiate: async (source: unknown, imports?: WebAssembly.Imports) =>
      isSentinel(source)
        ? { module: wasm, instance: new WebAssembly.Instance(wasm, imports) }
        : instantiate.call(WebAssembly, source, imports),
    Memory: class extends Memory {
      constructor(descriptor: WebAssembly.MemoryDescriptor) {
        const { initial, maximum: most = maximum } = descriptor;
        super(descriptor.shared ? { initial, maximum: Math.max(initial, Math.min(most, maximum)) } : descriptor);
      }
    },
  });
  // Emscripten's mailbox would wait on unshared memory, which throws in the middle of a request.
  Object.defineProperty(Atomics, 'waitAsync', { value: undefined, configurable: true, writable: true });

  return import('onnxruntime-web/wasm').then((ort) => {
    ort.env.wasm.wasmBinary = new Uint8Array(SENTINEL).buffer;
    return ort as unknown as Ort;
  });
}

/**
 * Runs the network inside a Cloudflare Worker with onnxruntime-web's wasm, one thread. For small images: a pixel costs
 * what it costs on one core, and memory is bounded. Errors: from `open` and `run` as every runtime; OUT_OF_MEMORY where
 * a tile does not fit.
 */
export function createWorkerdRuntime(options: WorkerdRuntimeOptions): LocalRuntime {
  return createWebRuntime({
    device: 'wasm',
    threads: 1,
    ort: () => {
      prepared ??= prepare(options).catch((error) => {
        prepared = undefined;
        throw error;
      });
      return prepared;
    },
  });
}
