import { execFile } from 'node:child_process';
import { access, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from './binary.ts';

const run = promisify(execFile);

/** What real Triton and its official client are here: a server with the Python backend, from PyPI, and ONNX Runtime. */
export const TRITON = ['nvidia-pytriton==0.7.0', 'tritonclient[http,grpc]', 'onnxruntime', 'numpy<2'] as const;

/**
 * A Python 3.11 with these packages, made on first use in a virtual environment that is kept; the path of its interpreter.
 * @param bare packages that are installed without what they depend on
 * @throws with pip's words where Python 3.11 is missing or a package cannot be had.
 */
export async function python(name: string, packages: readonly string[], bare: readonly string[] = []): Promise<string> {
  const folder = join(cacheFolder(), '..', 'python', name);
  const interpreter = join(folder, 'bin', 'python');
  const done = join(folder, 'complete');
  if (
    await access(done).then(
      () => true,
      () => false,
    )
  )
    return interpreter;
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, '..'), { recursive: true });
  await run(await interpreterOf(), ['-m', 'venv', folder]);
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
  await run(interpreter, [...pip, ...packages], { maxBuffer: 64 * 1024 * 1024 });
  if (bare.length > 0) await run(interpreter, [...pip, '--no-deps', ...bare], { maxBuffer: 64 * 1024 * 1024 });
  await mkdir(`${done}.part`, { recursive: true });
  await rename(`${done}.part`, done);
  return interpreter;
}

/** Triton's Python backend embeds the system's libpython3.11, so the environment has to be of that very build. */
async function interpreterOf(): Promise<string> {
  const system = '/usr/bin/python3.11';
  return (await access(system).then(
    () => true,
    () => false,
  ))
    ? system
    : 'python3.11';
}
