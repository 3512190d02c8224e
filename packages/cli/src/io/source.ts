import type { Input } from './inputs.ts';
import { readPipe } from './pipe.ts';
import { readStdin } from './stdio.ts';

/**
 * What the SDK is given for an input: a path or a URL, or the bytes of what can be read but once, `limit` of them at the most.
 * Errors: those of `readStdin` and `readPipe`.
 */
export async function sourceOf(
  { path, kind }: Input,
  { limit, signal }: { readonly limit: number; readonly signal: AbortSignal },
): Promise<string | Uint8Array> {
  if (kind === 'stdin') return readStdin(limit);
  return kind === 'pipe' ? readPipe(path, limit, signal) : path;
}
