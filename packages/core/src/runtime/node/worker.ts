import { parentPort, workerData } from 'node:worker_threads';
import { createOrtEngine } from '../ort/ort.ts';
import { guardNativeCalls } from './guard.ts';
import { importOrtNode } from './native.ts';
import { serveEngine } from './port.ts';

// The thread in which node.ts keeps onnxruntime-node, whose `run` blocks the event loop of the thread that calls it.
if (parentPort) {
  const port = parentPort;
  const engine = createOrtEngine(async () => {
    const ort = await importOrtNode();
    // This thread's own copy of the setting. A GPU library that is missing becomes a reason in `backend.declined`; ONNX
    // Runtime would print it in red on top.
    ort.env.logLevel = 'fatal';
    return ort;
  });
  const guarded = guardNativeCalls(engine, workerData as SharedArrayBuffer);
  port.on('message', serveEngine(guarded, { postMessage: (message, transfer) => port.postMessage(message, transfer) }));
}
