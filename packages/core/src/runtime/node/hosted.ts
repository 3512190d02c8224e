import { isMainThread } from 'node:worker_threads';
import { ElfinError } from '../../base/errors.ts';
import { type Host, type HostKind, startHost } from './host.ts';
import type { NodeEngine } from './native.ts';
import { callEngine } from './port.ts';

/**
 * An engine in a thread of its own (in a process of its own, where the caller is a worker thread itself or the system refuses
 * onnxruntime-node in this process), started when it is first asked anything. It keeps the process alive only while a call is
 * under way. `idle` ends it once no call is under way; the next call starts another.
 */
export function createHostedEngine({ wasm = false }: { wasm?: boolean } = {}): {
  readonly engine: NodeEngine;
  readonly idle: () => Promise<void>;
} {
  let kind: HostKind = isMainThread ? 'thread' : 'process';
  let hosted: Hosted | undefined;
  const current = () => {
    if (!hosted?.alive()) hosted = start(kind, wasm);
    return hosted.engine;
  };
  const idle = async () => {
    const ending = hosted;
    hosted = undefined;
    await ending?.end();
  };
  // A handle belongs to the host that made it: after one has died, its handles must not reach the next one's graphs.
  const owners = new Map<number, { readonly engine: NodeEngine; readonly handle: number }>();
  let next = 1;
  const owner = (handle: number) => {
    const found = owners.get(handle);
    if (!found) throw new ElfinError('DISPOSED', 'The session is closed; open the model again.');
    return found;
  };
  /** A process of its own loads what this one refused, because it has another version of the library or some other reason. */
  const elsewhere = async () => {
    kind = 'process';
    await idle();
    return current().describe();
  };
  return {
    engine: {
      async describe() {
        try {
          const facts = await current().describe();
          return facts.refused && kind === 'thread' ? await elsewhere() : facts;
        } catch (error) {
          if (kind === 'process' || !(error instanceof ElfinError && error.data.refused)) throw error;
          return elsewhere();
        }
      },
      async load(onnx, options) {
        const engine = current();
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
    idle,
  };
}

interface Hosted {
  readonly engine: NodeEngine;
  alive(): boolean;
  end(): Promise<void>;
}

function start(kind: HostKind, wasm: boolean): Hosted {
  let alive = true;
  const lost = (reason: string, cause?: unknown) => {
    if (!alive) return;
    alive = false;
    endpoint.fail(
      new ElfinError('RUNTIME_FAILED', `The ${kind} that runs the network ended: ${reason}. Try again.`, { cause }),
    );
  };
  const host: Host = startHost(kind, { wasm }, { receive: (message) => endpoint.receive(message), lost });
  const endpoint = callEngine(host, (calls) => (calls > 0 ? host.ref() : host.unref()));
  return {
    engine: endpoint.engine,
    alive: () => alive,
    async end() {
      await endpoint.settled();
      await host.end();
    },
  };
}
