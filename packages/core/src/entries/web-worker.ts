import { joinThreads } from '../runtime/ort/threads.ts';
import { serveRestorer, type WorkerScope } from '../web/worker/serve.ts';

// The worker that `@elfin/core/web` starts: the whole of elfin, off the page's thread.
const scope = globalThis as unknown as WorkerScope & { readonly name: string };
if (!joinThreads(scope)) serveRestorer(scope);
