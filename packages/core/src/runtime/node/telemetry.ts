const SWITCH = 'ORT_DISABLE_TELEMETRY';

/**
 * onnxruntime-node from 1.29 on reports to its maker: every process looks up a host, keeps a device's identity in the home folder's
 * cache and writes a log into the temporary one. Off, unless the environment says otherwise (`ORT_DISABLE_TELEMETRY=0`).
 *
 * Native code reads the process' own environment, which the main thread alone can write to.
 */
export function silenceTelemetry(isMainThread: boolean): void {
  if (!isMainThread) return;
  try {
    process.env[SWITCH] ??= '1';
  } catch {
    // Deno without the right to write the environment; it says so itself where that is wanted.
  }
}

/** The environment of a process of our own that runs ONNX Runtime. */
export const silentEnvironment = (): NodeJS.ProcessEnv => ({ [SWITCH]: '1', ...process.env });
