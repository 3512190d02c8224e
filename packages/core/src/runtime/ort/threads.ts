/** The two builds of onnxruntime-web. */
export type OrtBuild = 'webgpu' | 'wasm';

// ONNX Runtime tells its threads by names that begin so.
const PREFIX = 'em-pthread';

/**
 * ONNX Runtime starts its threads from the file that it is in. When a bundler put it into ours, that file is ours: the name
 * then tells the thread which build to go on with.
 */
export function nameThreads(build: OrtBuild): void {
  const { Worker: Plain } = globalThis;
  if (typeof Plain !== 'function') return;
  globalThis.Worker = class extends Plain {
    constructor(url: string | URL, options: WorkerOptions = {}) {
      const thread = options.name?.startsWith(PREFIX);
      super(url, thread ? { ...options, name: `${PREFIX}-${build}` } : options);
    }
  };
}

interface Scope {
  readonly name?: string;
  onmessage: ((event: MessageEvent) => void) | null;
}

/** Becomes one of ONNX Runtime's threads, if that is what this worker was started for. */
export function joinThreads(scope: Scope): boolean {
  if (!scope.name?.startsWith(PREFIX)) return false;
  // What arrives while the code loads would find nobody listening.
  const early: MessageEvent[] = [];
  const keep = (event: MessageEvent) => early.push(event);
  scope.onmessage = keep;
  const loaded = scope.name.endsWith('webgpu') ? import('onnxruntime-web/webgpu') : import('onnxruntime-web/wasm');
  void loaded.then(() => {
    for (const event of early) scope.onmessage?.(event);
  });
  return true;
}
