import { parentPort, workerData } from 'node:worker_threads';
import { guardNativeCalls } from './guard.ts';
import { createNodeEngine } from './native.ts';
import type { MessageEndpoint } from './port.ts';
import { serveEngine } from './port.ts';

/** What a thread or a process that runs ONNX Runtime is told when it starts. */
export interface HostData {
  readonly wasm: boolean;
  /** Shared with a thread alone. */
  readonly guard?: SharedArrayBuffer | undefined;
}

// Where host.ts keeps ONNX Runtime, whose `run` blocks the event loop of the thread that calls it.
if (parentPort) {
  const port = parentPort;
  const { wasm, guard } = workerData as HostData;
  const engine = guardNativeCalls(createNodeEngine({ wasm, silent: true }), guard!);
  port.on(
    'message',
    serve(engine, (message, transfer) => port.postMessage(message, transfer)),
  );
} else if (process.send) {
  // An interrupt of the terminal reaches this process too; who started it decides when the work ends.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  process.once('disconnect', () => process.exit());
  const { wasm } = JSON.parse(process.argv[2]!) as HostData;
  // An answer that finds nobody is no failure: `disconnect` comes next.
  const answer = (message: unknown) => void process.send!(message, () => {});
  process.on('message', serve(createNodeEngine({ wasm, silent: true }), answer));
}

function serve(engine: ReturnType<typeof createNodeEngine>, postMessage: MessageEndpoint['postMessage']) {
  return serveEngine(engine, { postMessage });
}
