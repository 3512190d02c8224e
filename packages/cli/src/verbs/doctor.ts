import { statfs } from 'node:fs/promises';
import { freemem, tmpdir } from 'node:os';
import { createRestorer, processLimits } from '@elfin/core/node';
import { defineVerb } from '../flags/command.ts';
import { createDevice, DEVICE_FLAG } from '../flags/device.ts';
import { allBundled, bundledModels } from '../flags/models.ts';
import { EXIT, failureOf, usageError } from '../report/failure.ts';

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly says: string;
}

/** Whether this machine can restore photos, on what, and what is missing. Nothing is changed. */
export const doctor = defineVerb({
  name: 'doctor',
  description: 'Check what this machine restores photos on, and what is missing',
  args: { device: DEVICE_FLAG },
  examples: ['elfin doctor', 'elfin doctor --device http://127.0.0.1:8000 --json'],
  async run({ args, words }) {
    if (words.length > 0) throw usageError(`doctor takes no "${words[0]}".`);
    // Opens nothing yet: a word that is no device is the caller's mistake, not this machine's.
    await using device = await createDevice(args.device);
    const checks = [
      await check('node', async () => {
        const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
        if (major < 20 || (major === 20 && minor < 19))
          throw new Error(`Node ${process.versions.node} is too old: install 20.19 or newer.`);
        return `Node ${process.versions.node} on ${process.platform} ${process.arch}`;
      }),
      await check('machine', async () => {
        const giga = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
        const { threads, quota, memory, constrained } = processLimits();
        const free = Math.min(memory, process.availableMemory?.() ?? freemem());
        const paid = quota === undefined ? '' : ` (the container's quota is ${quota.toFixed(2)} processors)`;
        return `${threads} threads${paid}, ${giga(free)} of ${giga(memory)} memory free${constrained ? " within the container's limit" : ''}`;
      }),
      await check('temporary files', async () => {
        const { bavail, bsize } = await statfs(tmpdir());
        const free = bavail * bsize;
        if (free < 2 ** 30)
          throw new Error(`less than 1 GiB free in ${tmpdir()}: a 50-megapixel photo needs about 600 MB.`);
        return `${(free / 2 ** 30).toFixed(1)} GiB free in ${tmpdir()}`;
      }),
      await check('image codec', async () => {
        const { default: sharp } = await import('sharp');
        return `sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}`;
      }),
      await check('models', async () => {
        const read = await allBundled();
        return read.map(({ name }) => name).join(', ');
      }),
      await check('restoring', async () => {
        await using restorer = createRestorer({ models: bundledModels(), runtime: device.runtime });
        const started = performance.now();
        const { implementation, provider, threads, declined } = await restorer.warmup({ task: 'derain' });
        const reasons = declined.map((other) => `; ${other.provider} not taken: ${other.reason}`).join('');
        return `${implementation}, ${provider}${threads > 0 ? `, ${threads} threads` : ''}, ready in ${Math.round(performance.now() - started)} ms${reasons}`;
      }),
    ];
    const healthy = checks.every(({ ok }) => ok);
    if (args.json) process.stdout.write(`${JSON.stringify({ ok: healthy, checks })}\n`);
    else
      for (const { name, ok, says } of checks)
        process.stdout.write(`${ok ? 'ok  ' : 'FAIL'}  ${name.padEnd(16)}${says}\n`);
    return healthy ? EXIT.done : EXIT.failed;
  },
});

async function check(name: string, look: () => Promise<string>): Promise<Check> {
  try {
    return { name, ok: true, says: await look() };
  } catch (error) {
    return {
      name,
      ok: false,
      says: error instanceof Error && !('code' in error) ? error.message : failureOf(error).message,
    };
  }
}
