import { ElfinError, type SourceValidator } from '@elfin/core';
import { createAllowList } from './allow-list.ts';
import type { SourceName } from './name.ts';

/** What a source said of itself when it was read last; sent back to ask whether it changed. */
export interface Revision {
  /** As the source spelled it, quotes and `W/` included. */
  readonly etag?: string;
  readonly lastModified?: string;
  /** Which URL said so, where a source may be led to several: no other one is asked by it. */
  readonly url?: string;
}

export interface SourceRequest {
  /** Asks conditionally: `same` where nothing changed since. */
  readonly known?: Revision;
  /** W3C trace context, passed on. */
  readonly traceparent?: string;
  readonly signal?: AbortSignal;
}

export interface SourceFound {
  readonly state: 'found';
  readonly body: ReadableStream<Uint8Array>;
  /** What the source says that it is long; not to be trusted. */
  readonly size?: number;
  readonly revision: Revision;
  /** Pins the bytes without reading them; where missing, their digest does. */
  readonly validator?: SourceValidator;
  /** The bytes behind this name never change (`Cache-Control: immutable` for about a year). */
  readonly pinned: boolean;
  /** Who may keep what is made of it; anyone where missing. */
  readonly scope?: CacheScope | undefined;
}

/**
 * What a source's `Cache-Control` lets be done with what is made of it: `private`, no cache that several people share may
 * keep it; `no-store`, nobody may.
 */
export type CacheScope = 'public' | 'private' | 'no-store';

export type SourceReply = { readonly state: 'same' } | SourceFound;

/** Reads originals. Errors: SOURCE_FORBIDDEN, SOURCE_MISSING, SOURCE_FAILED, SOURCE_TIMEOUT. */
export interface Source {
  read(name: SourceName, request?: SourceRequest): Promise<SourceReply>;
}

/** A reader for each kind of name; a kind without one is refused. */
export type Sources = { readonly [K in SourceName['kind']]?: Source | undefined };

/**
 * Joins readers under one allow-list, which is checked before any of them sees a name. Paths are below a folder or an
 * origin that the server itself was pointed at, so they need no pattern. Errors: CONFIG_INVALID for a bad pattern.
 */
export function createSources(options: { readonly allow: readonly string[]; readonly sources: Sources }): Source {
  const allowed = createAllowList(options.allow);
  return {
    async read(name, request) {
      const source = options.sources[name.kind];
      if (!source || !(name.kind === 'path' || allowed(name))) {
        throw new ElfinError('SOURCE_FORBIDDEN', 'The source is not on this server’s allow-list.');
      }
      return source.read(name, request);
    },
  };
}

/**
 * Reads a body whole, stopping at the first byte over `limit`: a declared length is only a reason to stop earlier.
 * Errors: IMAGE_TOO_MANY_BYTES, SOURCE_FAILED for a body that breaks off, SOURCE_TIMEOUT, ABORTED.
 */
export async function readCapped(found: SourceFound, limit: number, signal?: AbortSignal): Promise<Uint8Array> {
  const tooMany = () =>
    new ElfinError('IMAGE_TOO_MANY_BYTES', `The source is larger than ${limit} bytes.`, { data: { limit } });
  if (found.size !== undefined && found.size > limit) {
    await found.body.cancel().catch(() => undefined);
    throw tooMany();
  }
  const parts: Uint8Array[] = [];
  let length = 0;
  const reader = found.body.getReader();
  const stop = () => void reader.cancel(signal?.reason).catch(() => undefined);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (signal?.aborted) throw signal.reason;
      if (done) break;
      length += value.byteLength;
      if (length > limit) {
        stop();
        throw tooMany();
      }
      parts.push(value);
    }
  } catch (cause) {
    throw sourceError(cause, signal);
  } finally {
    signal?.removeEventListener('abort', stop);
  }
  if (parts.length === 1) return parts[0] as Uint8Array;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}

/** What a failed read means: our own errors pass (also from inside a failed `fetch`), a timeout and a stop are told apart. */
export function sourceError(thrown: unknown, signal?: AbortSignal): ElfinError {
  for (let error = thrown, depth = 0; error instanceof Error && depth < 5; error = error.cause, depth++) {
    if (error instanceof ElfinError) return error;
    if (error.name === 'TimeoutError') {
      return new ElfinError('SOURCE_TIMEOUT', 'The source did not answer in time.', { cause: thrown });
    }
  }
  if (signal?.aborted) {
    return signal.reason instanceof Error && signal.reason.name === 'TimeoutError'
      ? new ElfinError('SOURCE_TIMEOUT', 'The source did not answer in time.', { cause: thrown })
      : new ElfinError('ABORTED', 'Reading the source was stopped.', { cause: thrown });
  }
  return new ElfinError('SOURCE_FAILED', 'The source could not be read; its server failed or hung up.', {
    cause: thrown,
  });
}
