import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { ModelSize, PixelImage, Task } from '@elfin/core';
import { createNodeRuntime, loadSharpCodec } from '@elfin/core/node';
import { createWholeImages, serveWorker, type WholeImageOptions } from '@elfin/edge/worker';
import { createModels } from '@elfin/models/node';
import { MAIN } from './cli.ts';

export interface ElfinWorker {
  readonly url: string;
  stop(): Promise<void>;
}

/** `elfin worker` as a process of its own, on the CPU and a free port. Resolves when it listens. */
export async function startElfinWorker(token: string): Promise<ElfinWorker> {
  const words = ['--conditions=@elfin/source', MAIN, 'worker', '--port', '0', '--json', '--device', 'cpu'];
  const child = spawn(process.execPath, words, {
    env: { ...process.env, ELFIN_WORKER_TOKEN: token },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const gone = once(child, 'exit');
  const early = gone.then(([code]) => Promise.reject(new Error(`elfin worker ended with ${code}.`)));
  early.catch(() => undefined);
  const [line] = (await Promise.race([once(createInterface({ input: child.stdout }), 'line'), early])) as [string];
  return {
    url: (JSON.parse(line) as { url: string }).url,
    async stop() {
      child.kill('SIGTERM');
      await gone;
    },
  };
}

/**
 * A worker in this process that turns pictures into their negatives instead of running a network, and counts them: all that
 * surrounds the network is real, the protocol and the codecs too.
 */
export async function startNegativeWorker(token: string) {
  let images = 0;
  const codec = await loadSharpCodec();
  const models = createModels();
  const restorer: WholeImageOptions['restorer'] = {
    async restore(image, { task, model }) {
      // A worker whose weights are not the caller's would be refused.
      const { name, digest } = await models.resolve(task as Task, (model ?? 'lw') as ModelSize);
      const report = { model: name, digest, backend: { provider: 'cpu' }, tiling: 'whole', tiles: 1 } as const;
      const data = image.data.map((value) => 255 - value);
      return { image: { ...image, data } as PixelImage, report: { task: task as Task, ...report } };
    },
  };
  const restore = createWholeImages({ codec, restorer, models });
  const running = await serveWorker({
    models: [],
    runtime: createNodeRuntime({ device: 'cpu' }),
    port: 0,
    token,
    restoreImage: (...given) => {
      images++;
      return restore(...given);
    },
  });
  return { url: running.url, images: () => images, stop: () => running.close() };
}
