/**
 * A worker in a process of its own, for bench/worker.ts. Run by itself it is that process: the options are its argument, as
 * JSON, and it prints its address when it listens.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createNodeRuntime } from '@elfin/core/node';
import { serveWorker } from '@elfin/edge/worker';
import { createModels } from '@elfin/models/node';
import { createAccelerator, namedModel } from '../test/helpers/accelerator.ts';

export interface WorkerProcessOptions {
  /** Milliseconds of a run of the simulated accelerator, whatever its batch; without it the network is really run. */
  readonly latencyMs?: number;
  readonly device?: 'cpu';
  readonly threads?: number;
  readonly maxBatch?: number;
  readonly maxDelayMs?: number;
}

export interface WorkerProcess extends AsyncDisposable {
  readonly url: string;
  /** Milliseconds of processor time that it has taken so far. */
  processorMs(): Promise<number>;
}

export async function startWorker(options: WorkerProcessOptions): Promise<WorkerProcess> {
  const words = ['--conditions=@elfin/source', fileURLToPath(import.meta.url), JSON.stringify(options)];
  const child = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'inherit'] });
  const gone = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  const [url] = (await Promise.race([
    once(lines, 'line'),
    gone.then(([code]) => Promise.reject(new Error(`The worker ended with ${code}.`))),
  ])) as [string];
  return {
    url,
    async processorMs() {
      const told = once(lines, 'line') as Promise<[string]>;
      child.kill('SIGUSR2');
      return Number((await told)[0]);
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await gone;
    },
  };
}

/** Milliseconds of processor time that this process has taken. */
export function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { latencyMs, device, threads, ...batching } = JSON.parse(process.argv[2] ?? '{}') as WorkerProcessOptions;
  const simulated = latencyMs !== undefined;
  const models = [simulated ? namedModel() : await createModels().resolve('derain', 'lw')];
  const runtime = simulated
    ? createAccelerator(() => sleep(latencyMs))
    : createNodeRuntime({ ...(device && { device }), ...(threads && { threads }) });
  const worker = await serveWorker({ models, runtime, port: 0, ...batching });
  process.once('SIGTERM', () => worker.close().then(() => process.exit(0)));
  process.on('SIGUSR2', () => process.stdout.write(`${processorMs()}\n`));
  // However the bench ends, nothing of it stays.
  process.stdin.resume().once('end', () => process.exit(0));
  process.stdout.write(`${worker.url}\n`);
}
