import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import type { InferenceSession } from 'onnxruntime-common';
import { ElfinError } from '../../base/errors.ts';
import type { Engine } from '../engine.ts';
import { type Candidate, createLocalRuntime, type LocalRuntime } from '../local.ts';
import { createOrtEngine } from '../ort/ort.ts';
import { importOrtNode } from './native.ts';
import { createThreadEngine } from './thread.ts';

/** Devices that onnxruntime-node may offer, best first as `auto` tries them. */
const AUTO = ['cuda', 'webgpu', 'cpu'] as const;
const DEVICES = ['auto', ...AUTO, 'tensorrt', 'dml', 'coreml'] as const;
export type NodeDevice = (typeof DEVICES)[number];

export interface NodeRuntimeOptions {
  /** `auto` (default): CUDA, else WebGPU, else the CPU. Anything else: that and nothing else. */
  readonly device?: NodeDevice;
  /** Threads of the CPU provider; as many as the process may use by default. */
  readonly threads?: number;
  /**
   * Whether ONNX Runtime has a thread of its own (default), so that a running tile does not block this thread's event loop.
   * Without it no worker file is needed, which suits programs bundled into one file.
   */
  readonly thread?: boolean;
}

/**
 * Runs the network with onnxruntime-node, an optional peer that is loaded at the first `open`. `backend` tells which
 * provider was taken and why each better one was not.
 *
 * Errors: OPTION_INVALID here; RUNTIME_UNAVAILABLE from `open` where onnxruntime-node or the device asked for is missing.
 */
export function createNodeRuntime(options: NodeRuntimeOptions = {}): LocalRuntime {
  const { device = 'auto', threads = availableParallelism(), thread = true } = options;
  if (!DEVICES.includes(device)) {
    throw new ElfinError('OPTION_INVALID', `device must be one of ${DEVICES.join(', ')}, not ${device}.`);
  }
  if (!(Number.isInteger(threads) && threads >= 1 && threads <= 1024)) {
    throw new ElfinError('OPTION_INVALID', `threads must be a whole number from 1 to 1024, not ${threads}.`);
  }
  const { engine, idle }: { engine: Engine; idle?: () => Promise<void> } = thread
    ? createThreadEngine()
    : { engine: createOrtEngine(importOrtNode) };
  let survey: Promise<Survey> | undefined;
  return createLocalRuntime({
    name: 'onnxruntime-node',
    engine,
    ...(idle ? { idle } : {}),
    survey: () => {
      // What could not be loaded once is tried anew the next time.
      survey ??= surveyNode(device, threads).catch((error) => {
        survey = undefined;
        throw error;
      });
      return survey;
    },
  });
}

interface Survey {
  readonly implementation: string;
  readonly candidates: Candidate[];
  readonly declined: { provider: string; reason: string }[];
}

async function surveyNode(device: NodeDevice, threads: number): Promise<Survey> {
  const ort = await importOrtNode();
  const listed = ort.listSupportedBackends().map(({ name }) => name);
  const candidates: Candidate[] = [];
  const declined: { provider: string; reason: string }[] = [];
  for (const provider of device === 'auto' ? AUTO : [device]) {
    const reason = listed.includes(provider)
      ? (device === 'auto' || provider === 'cuda') && (await hopeless(provider))
      : `this build of onnxruntime-node offers only ${listed.join(', ')}`;
    if (reason) declined.push({ provider, reason });
    else candidates.push(candidate(provider, threads));
  }
  return { implementation: `onnxruntime-node ${ort.env.versions.node}`, candidates, declined };
}

function candidate(provider: string, threads: number): Candidate {
  const cpu = provider === 'cpu';
  const options: InferenceSession.SessionOptions = {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    // Measured on elf-lw at 1024²: without the arena a run takes twice as long or worse (every tensor is mapped and unmapped
    // anew); with memory patterns the peak is 1173 MB instead of 812 MB, for nothing, since shapes are seldom repeated enough.
    enableCpuMemArena: true,
    enableMemPattern: false,
    logSeverityLevel: 4,
  };
  return { provider, threads, target: cpu ? 'native' : 'webgpu', options, probe: !cpu };
}

/**
 * Why trying a provider would be in vain, where a look at the machine tells: the attempt itself makes native libraries print
 * warnings that no setting silences. Undefined where it has to be tried.
 */
async function hopeless(provider: string): Promise<string | undefined> {
  if (process.platform !== 'linux') return undefined;
  if (provider === 'webgpu') {
    const devices = ['/dev/dri', '/dev/nvidia0', '/dev/dxg'];
    return devices.some((path) => existsSync(path)) ? undefined : `no GPU: none of ${devices.join(', ')} exists`;
  }
  if (provider === 'cuda') {
    const library = 'libonnxruntime_providers_cuda.so';
    return (await besideOrt(library))
      ? undefined
      : `${library} is not installed; docs/deploy-gpu.md tells how to add CUDA to onnxruntime-node`;
  }
  return undefined;
}

async function besideOrt(file: string): Promise<boolean> {
  const root = join(dirname(createRequire(import.meta.url).resolve('onnxruntime-node')), '..', 'bin');
  const versions = await readdir(root).catch(() => []);
  return versions.some((version) => existsSync(join(root, version, process.platform, process.arch, file)));
}
