import { ElfinError } from '../../base/errors.ts';
import { loadPart } from '../../base/lazy-import.ts';

/** The kernels' module and which of the two it is. */
export interface LoadedKernels {
  readonly module: WebAssembly.Module;
  readonly variant: 'relaxed' | 'simd';
}

/** The modules' bytes: with relaxed SIMD, and without. */
export async function kernelBytes(): Promise<Record<LoadedKernels['variant'], Uint8Array<ArrayBuffer>>> {
  const { relaxed, simd } = await loadPart(import('./kernels.generated.ts'));
  const decode = (text: string) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return { relaxed: decode(relaxed), simd: decode(simd) };
}

/**
 * The better of the two modules that this host takes.
 * Errors: RUNTIME_UNAVAILABLE where it has no SIMD, or may compile nothing (a page's Content-Security-Policy).
 */
export async function loadKernels(): Promise<LoadedKernels> {
  if (typeof WebAssembly === 'undefined') throw unavailable('this host has no WebAssembly');
  const bytes = await kernelBytes();
  const variant = (['relaxed', 'simd'] as const).find((name) => WebAssembly.validate(bytes[name]));
  if (!variant) throw unavailable('this host has no SIMD in WebAssembly');
  try {
    return { module: await WebAssembly.compile(bytes[variant]), variant };
  } catch (cause) {
    throw unavailable(`its kernels may not be compiled here (${(cause as Error).message})`, cause);
  }
}

function unavailable(reason: string, cause?: unknown): ElfinError {
  return new ElfinError('RUNTIME_UNAVAILABLE', `The engine cannot run: ${reason}.`, { cause });
}
