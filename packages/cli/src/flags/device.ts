import type { Runtime } from '@elfin/core';
import { createNodeRuntime, type NodeDevice } from '@elfin/core/node';
import { createRemoteRuntime } from '@elfin/core/remote';
import { createWebRuntime } from '@elfin/core/web-runtime';
import { usageError } from '../report/failure.ts';

/** `--device`, as every verb that runs the network takes it. */
export const DEVICE_FLAG = {
  type: 'string',
  default: 'auto',
  valueHint: 'auto|cpu|cuda|webgpu|wasm|URL[,URL]',
  description: 'What runs the network: this machine, or workers by their URLs (ELFIN_WORKER_TOKEN is their token)',
} as const;

/** What runs the network, open until disposed of. */
export interface Device extends AsyncDisposable {
  readonly runtime: Runtime;
  /** Images that pay to be in hand at once. */
  readonly concurrency: number;
}

const NODE_DEVICES = new Set(['auto', 'cpu', 'cuda', 'webgpu', 'tensorrt', 'dml', 'coreml']);

/** Errors: OPTION_INVALID for a word that is no device, CONFIG_INVALID for a bad URL. */
export async function createDevice(word: string, { threads }: { readonly threads?: number } = {}): Promise<Device> {
  if (/^https?:\/\//.test(word)) {
    const token = process.env.ELFIN_WORKER_TOKEN;
    const endpoints = word.split(',').map((url) => ({ url: url.trim(), ...(token && { token }) }));
    const runtime = createRemoteRuntime({ endpoints });
    return { runtime, concurrency: 2 * endpoints.length, [Symbol.asyncDispose]: async () => undefined };
  }
  if (word !== 'wasm' && !NODE_DEVICES.has(word))
    throw usageError(`--device is ${[...NODE_DEVICES, 'wasm'].join(', ')} or workers' URLs, not "${word}".`);
  const runtime =
    word === 'wasm'
      ? createWebRuntime({ device: 'wasm', ...(threads !== undefined && { threads }) })
      : createNodeRuntime({ device: word as NodeDevice, ...(threads !== undefined && { threads }) });
  return { runtime, concurrency: 1, [Symbol.asyncDispose]: () => runtime.dispose() };
}
