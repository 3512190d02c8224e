import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-common';
import { ElfinError, isElfinError } from '../../base/errors.ts';
import type { Tensor } from '../../base/tensor.ts';
import type { Engine, Port } from '../engine.ts';

/** What onnxruntime-node and onnxruntime-web have in common. */
export type Ort = typeof import('onnxruntime-common');

/** An engine over one of ONNX Runtime's packages, loaded at the first use, in the thread that calls it. */
export function createOrtEngine(loadOrt: () => Promise<Ort>): Engine {
  const sessions = new Map<number, InferenceSession>();
  let next = 1;
  const find = (handle: number) => {
    const session = sessions.get(handle);
    if (!session) throw new ElfinError('DISPOSED', 'The session is closed; open the model again.');
    return session;
  };
  return {
    async load(onnx, options) {
      const ort = await loadOrt();
      const session = await explain('load the graph', () => ort.InferenceSession.create(onnx, options));
      const handle = next++;
      sessions.set(handle, session);
      return { handle, inputs: session.inputMetadata.map(port), outputs: session.outputMetadata.map(port) };
    },
    async run(handle, feeds, outputs) {
      const session = find(handle);
      const { Tensor } = await loadOrt();
      return explain('run the graph', async () => {
        const inputs = Object.entries(feeds).map(([name, { type, data, shape }]) => [
          name,
          new Tensor(type, data, shape),
        ]);
        const results = await session.run(Object.fromEntries(inputs), outputs ?? session.outputNames);
        return Object.fromEntries(Object.entries(results).map(([name, value]) => [name, take(name, value)]));
      });
    },
    async unload(handle) {
      const session = sessions.get(handle);
      sessions.delete(handle);
      await session?.release();
    },
  };
}

/** The values leave ONNX Runtime's tensor, which is freed at once instead of at some later garbage collection. */
function take(name: string, value: OrtTensor): Tensor {
  const { type, dims, data } = value;
  if (type !== 'float32' && type !== 'uint8') {
    throw new ElfinError('RUNTIME_FAILED', `The graph's output ${name} is ${type}; only float32 and uint8 are known.`);
  }
  const tensor = { type, shape: [...dims], data } as Tensor;
  value.dispose();
  return tensor;
}

function port(metadata: InferenceSession.ValueMetadata): Port {
  return metadata.isTensor
    ? { name: metadata.name, type: metadata.type, shape: metadata.shape }
    : { name: metadata.name, type: 'unknown', shape: [] };
}

async function explain<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw isElfinError(error) ? error : toElfinError(what, error);
  }
}

// ONNX Runtime has no code of its own for exhausted memory: these are the words of its CPU arena, of C++ in wasm, of CUDA,
// of Dawn (WebGPU), and of the JavaScript engine.
const OUT_OF_MEMORY =
  /failed to allocate memory|bad_alloc|out of memory|out_of_memory|allocation failed|could not allocate|invalid typed array length|invalid array length/i;

/** ONNX Runtime's failure as one line with a code. */
export function toElfinError(what: string, error: unknown): ElfinError {
  // Emscripten throws bare numbers (a pointer to a C++ exception) where it was built without messages.
  const text = error instanceof Error ? error.message : String(error);
  const line = text.replaceAll(/\s+/g, ' ').trim();
  if (OUT_OF_MEMORY.test(line)) {
    return new ElfinError('OUT_OF_MEMORY', 'The runtime ran out of memory; use smaller tiles.', { cause: error });
  }
  if (/content security policy|unsafe-eval/i.test(line)) {
    const words =
      "A Content Security Policy forbids WebAssembly: allow 'wasm-unsafe-eval' in script-src, for the worker too.";
    return new ElfinError('RUNTIME_UNAVAILABLE', words, { cause: error });
  }
  return new ElfinError('RUNTIME_FAILED', `ONNX Runtime could not ${what}: ${line.slice(0, 400)}`, { cause: error });
}
