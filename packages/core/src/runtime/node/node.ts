import { existsSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import type { InferenceSession } from 'onnxruntime-common';
import { ElfinError } from '../../base/errors.ts';
import { type Candidate, createLocalRuntime, type LocalRuntime } from '../local.ts';
import { createHostedEngine } from './hosted.ts';
import { processLimits } from './limits.ts';
import { createNodeEngine, type NodeEngine } from './native.ts';
import { silenceTelemetry } from './telemetry.ts';

/** Devices that onnxruntime-node may offer, best first as `auto` tries them. */
const AUTO = ['cuda', 'webgpu', 'cpu'] as const;
const DEVICES = ['auto', ...AUTO, 'tensorrt', 'dml', 'coreml'] as const;
export type NodeDevice = (typeof DEVICES)[number];

export interface NodeRuntimeOptions {
  /**
   * `auto` (default): CUDA, else WebGPU, else the CPU; without a working onnxruntime-node, onnxruntime-web where that is installed.
   * Anything else: that and nothing else.
   */
  readonly device?: NodeDevice;
  /** Threads of the CPU provider; as many as the process may use by default. */
  readonly threads?: number;
  /**
   * Whether ONNX Runtime has a thread of its own (default), so that a running tile does not block this thread's event loop.
   * Without it no worker file is needed, which suits programs bundled into one file; on the main thread only. Callers that are
   * worker threads themselves get a process instead, so that they can be terminated at any time.
   */
  readonly thread?: boolean;
}

/**
 * Runs the network with onnxruntime-node, an optional peer that is loaded at the first `open`. `backend` tells which
 * provider was taken and why each better one was not.
 *
 * Errors: OPTION_INVALID here; RUNTIME_UNAVAILABLE from `open` where onnxruntime-node or the device asked for is missing.
 *
 * onnxruntime-node's reports to its maker are switched off for the whole process (`ORT_DISABLE_TELEMETRY`), unless that variable is set.
 */
export function createNodeRuntime(options: NodeRuntimeOptions = {}): LocalRuntime {
  const { device = 'auto', threads = processLimits().threads, thread = true } = options;
  if (!DEVICES.includes(device)) {
    throw new ElfinError('OPTION_INVALID', `device must be one of ${DEVICES.join(', ')}, not ${device}.`);
  }
  if (!(Number.isInteger(threads) && threads >= 1 && threads <= 1024)) {
    throw new ElfinError('OPTION_INVALID', `threads must be a whole number from 1 to 1024, not ${threads}.`);
  }
  // A worker thread that is ended inside the addon takes the process along, and hears of it too late to do anything.
  if (!thread && !isMainThread) {
    throw new ElfinError(
      'OPTION_INVALID',
      'thread: false is for the main thread alone: a worker thread that is ended in the middle of a tile would end the process.',
    );
  }
  silenceTelemetry(isMainThread);
  const wasm = device === 'auto';
  const { engine, idle }: { engine: NodeEngine; idle?: () => Promise<void> } = thread
    ? createHostedEngine({ wasm })
    : { engine: createNodeEngine({ wasm }) };
  let survey: Promise<Survey> | undefined;
  return createLocalRuntime({
    name: 'onnxruntime-node',
    engine,
    ...(idle ? { idle } : {}),
    survey: () => {
      // What could not be loaded once is tried anew the next time.
      survey ??= surveyNode(engine, device, threads).catch((error) => {
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

async function surveyNode(engine: NodeEngine, device: NodeDevice, threads: number): Promise<Survey> {
  const { name, version, providers, cuda, reason: instead } = await engine.describe();
  const implementation = `${name} ${version}`;
  if (name === 'onnxruntime-web') {
    const declined = [{ provider: 'onnxruntime-node', reason: instead ?? '' }];
    return { implementation, candidates: [WASM], declined };
  }
  const candidates: Candidate[] = [];
  const declined: { provider: string; reason: string }[] = [];
  for (const provider of device === 'auto' ? AUTO : [device]) {
    const reason = providers.includes(provider)
      ? (device === 'auto' || provider === 'cuda') && hopeless(provider, cuda)
      : `this build of onnxruntime-node offers only ${providers.join(', ')}`;
    if (reason) declined.push({ provider, reason });
    else candidates.push(candidate(provider, threads));
  }
  return { implementation, candidates, declined };
}

const WASM: Candidate = {
  provider: 'wasm',
  threads: 1,
  target: 'wasm',
  options: { executionProviders: ['wasm'], graphOptimizationLevel: 'all', logSeverityLevel: 4 },
  probe: false,
};

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
    // A session's threads spin for a while when its run is over, and take the next session's time: three warm ones used in turn
    // take 144 ms a tile, 112 with this, as one alone does; without any spinning 126.
    extra: { session: { force_spinning_stop: '1' } },
    logSeverityLevel: 4,
  };
  return { provider, threads, target: cpu ? 'native' : 'webgpu', options, probe: !cpu };
}

/**
 * Why trying a provider would be in vain, where a look at the machine tells: the attempt itself makes native libraries print
 * warnings that no setting silences. Undefined where it has to be tried.
 */
function hopeless(provider: string, cuda: boolean): string | undefined {
  if (process.platform !== 'linux') return undefined;
  if (provider === 'webgpu') {
    const devices = ['/dev/dri', '/dev/nvidia0', '/dev/dxg'];
    return devices.some((path) => existsSync(path)) ? undefined : `no GPU: none of ${devices.join(', ')} exists`;
  }
  return provider === 'cuda' && !cuda
    ? 'libonnxruntime_providers_cuda.so is not installed; docs/deploy-gpu.md tells how to add CUDA to onnxruntime-node'
    : undefined;
}
