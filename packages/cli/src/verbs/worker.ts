import type { ModelRef } from '@elfin/core';
import { createRestorer, loadModel, loadSharpCodec } from '@elfin/core/node';
import { createWholeImages, serveWorker } from '@elfin/edge/worker';
import { defineVerb, given, numberFlag } from '../flags/command.ts';
import { createDevice, DEVICE_FLAG } from '../flags/device.ts';
import { allBundled, bundledModels } from '../flags/models.ts';
import { announce, LISTEN_FLAGS, portFlag, untilStopped } from '../flags/server.ts';
import { EXIT, usageError } from '../report/failure.ts';

/** A GPU worker: tiles by the Open Inference Protocol v2, whole images by `POST /restore`. */
export const worker = defineVerb({
  name: 'worker',
  description: 'Restore tiles and whole images for others, by the Open Inference Protocol v2',
  args: {
    ...LISTEN_FLAGS,
    device: { ...DEVICE_FLAG, valueHint: 'auto|cpu|cuda|webgpu|wasm' },
    threads: { type: 'string', valueHint: 'n', description: 'CPU threads (default: all)' },
    models: { type: 'string', valueHint: 'folder,…', description: 'Model folders to serve beside the bundled ones' },
    'max-batch': { type: 'string', valueHint: '1…64', description: 'Most tiles in one run (default 4)' },
    'max-delay': {
      type: 'string',
      valueHint: 'ms',
      description: 'How long a tile waits for others of its shape (default 2)',
    },
    'max-queue': {
      type: 'string',
      valueHint: 'tiles',
      description: 'Tiles waiting before new ones are refused (default 256)',
    },
    'max-memory': { type: 'string', valueHint: 'MiB', description: 'Memory for requests in hand (default 512)' },
    'max-graphs': {
      type: 'string',
      valueHint: '1…64',
      description: 'Graphs kept open, one a model and way of feeding it (default 8)',
    },
    'max-side': { type: 'string', valueHint: 'pixels', description: 'Longest side of a tile (default 1024)' },
    'max-pixels': {
      type: 'string',
      valueHint: 'megapixels',
      description: 'Refuse larger whole images (default 50)',
    },
    'max-result-side': {
      type: 'string',
      valueHint: 'pixels',
      description: 'Longest side of what a whole image becomes (default 16384)',
    },
  },
  examples: [
    'ELFIN_WORKER_TOKEN=$(openssl rand -hex 16) elfin worker --device cuda --host 0.0.0.0',
    'elfin restore photo.jpg --device http://127.0.0.1:8000',
  ],
  async run({ args, words }) {
    if (words.length > 0) throw usageError(`worker takes no "${words[0]}".`);
    if (/^https?:/.test(args.device)) throw usageError('--device is what this worker runs on; workers do not chain.');
    const whole = (name: string, text: string | undefined, max: number) =>
      numberFlag(name, text, { min: 1, max, integer: true });
    const threads = whole('threads', args.threads, 1024);
    const mebibytes = whole('max-memory', args['max-memory'], 1 << 20);
    const limits = {
      ...given('maxBatch', whole('max-batch', args['max-batch'], 64)),
      ...given('maxQueue', whole('max-queue', args['max-queue'], 100_000)),
      ...given('keep', whole('max-graphs', args['max-graphs'], 64)),
      ...given('maxSide', whole('max-side', args['max-side'], 8192)),
      ...given('maxDelayMs', numberFlag('max-delay', args['max-delay'], { min: 0, max: 10_000 })),
      ...given('maxBytes', mebibytes && mebibytes * 1024 * 1024),
    };
    const megapixels = numberFlag('max-pixels', args['max-pixels'], { min: 0.0001, max: 1000 });
    const imageLimits = {
      ...given('maxPixels', megapixels && Math.round(megapixels * 1e6)),
      ...given('resultSide', whole('max-result-side', args['max-result-side'], 65_535)),
    };
    const own = await Promise.all(
      (args.models ?? '')
        .split(',')
        .filter(Boolean)
        .map((path) => loadModel(path.trim())),
    );
    const models: ModelRef[] = [...(await allBundled()), ...own];
    const codec = await loadSharpCodec();
    await using device = await createDevice(args.device, given('threads', threads));
    const bundled = bundledModels();
    await using restorer = createRestorer({ models: bundled, runtime: device.runtime, codec });
    const { provider, implementation, declined } = await restorer.warmup({ task: 'derain' });
    const token = process.env.ELFIN_WORKER_TOKEN;
    const running = await serveWorker({
      models,
      runtime: device.runtime,
      restoreImage: createWholeImages({ codec, restorer, models: bundled, ...imageLimits }),
      host: args.host,
      port: portFlag(args.port, 8000),
      ...(token && { token }),
      ...limits,
    });
    for (const other of declined) process.stderr.write(`elfin: ${other.provider} not taken: ${other.reason}\n`);
    announce(
      {
        name: 'elfin worker',
        url: running.url,
        on: `${implementation} (${provider})`,
        models: models.map(({ name }) => name).join(' '),
      },
      args.json === true,
    );
    await untilStopped(() => running.close());
    return EXIT.done;
  },
});
