import { serveRestorer, type WorkerScope } from './web/serve.ts';

// The worker that `@elfin/core/web` starts: the whole of elfin, off the page's thread.
serveRestorer(globalThis as unknown as WorkerScope);
