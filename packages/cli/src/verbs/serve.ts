import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serve as serveEdge } from '@elfin/edge/node';
import { defineVerb } from '../flags/command.ts';
import { createDevice, DEVICE_FLAG } from '../flags/device.ts';
import { bundledModels } from '../flags/models.ts';
import { announce, LISTEN_FLAGS, portFlag, untilStopped } from '../flags/server.ts';
import { EXIT, usageError } from '../report/failure.ts';

/** The folder of the photo that comes along; found by the package's name, since a bundle lies elsewhere than its sources. */
const samples = () => fileURLToPath(new URL('assets/', import.meta.resolve('elfin/package.json')));

/** Transform URLs on this machine; results in a folder, no other service needed. */
export const serve = defineVerb({
  name: 'serve',
  description: 'Restore photos by URL: transform URLs on this machine, results kept in a folder',
  args: {
    folder: {
      type: 'positional',
      description: 'Folder that sources without a scheme are read from (default: none; with --dev, a sample photo’s)',
      required: false,
    },
    ...LISTEN_FLAGS,
    device: DEVICE_FLAG,
    dev: { type: 'boolean', description: 'Answer unsigned URLs and show the playground at /; loopback only' },
  },
  examples: [
    'elfin serve photos/ --dev',
    'ELFIN_URL_KEYS=k1:$(openssl rand -hex 32) ELFIN_SOURCES=https://origin.example elfin serve --host 0.0.0.0',
  ],
  async run({ args, words }) {
    const [folder, ...more] = words;
    if (more.length > 0) throw usageError('serve takes one folder.');
    const loopback = ['127.0.0.1', '::1', 'localhost'].includes(args.host);
    if (args.dev && !loopback) throw usageError('--dev answers unsigned URLs, so it listens on 127.0.0.1 only.');
    // A key made up for the session lets the playground show signed URLs as well.
    const env = args.dev
      ? { ELFIN_URL_KEYS: `dev:${randomBytes(32).toString('hex')}`, ELFIN_UNSAFE: '1', ...process.env }
      : process.env;
    const root = folder === undefined ? (args.dev ? samples() : undefined) : resolve(folder);
    await using device = await createDevice(args.device);
    const running = await serveEdge({
      env,
      models: bundledModels(),
      runtime: device.runtime,
      host: args.host,
      port: portFlag(args.port, 8080),
      ...(root !== undefined && { root }),
      ...(args.dev && { edge: { dev: true } }),
    });
    announce({ name: 'elfin serve', url: running.url, ...(folder !== undefined && { folder }) }, args.json === true);
    await untilStopped(() => running.close());
    return EXIT.done;
  },
});
