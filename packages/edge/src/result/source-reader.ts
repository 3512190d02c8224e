import { type Codec, ElfinError, type Header, type SourceValidator, sha256 } from '@elfin/core';
import { addSpan, timed } from '../http/metrics.ts';
import { parseSource } from '../source/name.ts';
import { type CacheScope, type Revision, readCapped, type Source } from '../source/source.ts';
import type { Budget, Limiter } from './limiter.ts';
import type { RunContext } from './pipeline.ts';
import { interruptible } from './waiting.ts';

/** What is known of a source without its bytes. */
export interface Origin {
  readonly header: Header;
  /** Bytes of the encoded source. */
  readonly size: number;
  readonly revision: Revision;
  readonly validator: SourceValidator;
  readonly pinned: boolean;
  readonly scope: CacheScope;
  /** Milliseconds since the epoch. */
  readonly checkedAt: number;
}

/** A source that was read, and is let go by `release`. */
export interface Fetched extends Origin {
  readonly bytes: Uint8Array;
  /** SHA-256 of the bytes: what tells a new ETag on the same photo from a new photo. */
  readonly digest: () => Promise<string>;
  release(): void;
}

export interface FetchHow {
  readonly known?: Revision | undefined;
  /** Does not wait until less is held: for what is held but for a moment. */
  readonly urgent?: boolean;
}

export interface SourceReader {
  /**
   * Reads a source, together with all who ask for it meanwhile; `same` where it has not changed since `known`.
   * Errors: SOURCE_*, IMAGE_*, OVERLOADED, the reason of the context's signal.
   */
  fetch(name: string, context: RunContext, how?: FetchHow): Promise<Fetched | 'same'>;
  /** The header of what is in hand. */
  peek(name: string): Header | undefined;
}

export interface SourceReaderOptions {
  readonly source: Source;
  readonly codec: Pick<Codec, 'probe'>;
  /** Most bytes of a source. */
  readonly maxBytes: number;
  /** Bounds what is read at once. */
  readonly lane: Limiter;
  /** Bounds the bytes that wait for their turn. */
  readonly budget: Budget;
  /** Whether requests may share what one of them reads; not in workerd. */
  readonly shared: boolean;
}

interface Entry {
  readonly reading: Promise<Omit<Fetched, 'release'>>;
  users: number;
  header?: Header;
  letGo?: () => void;
}

export const unexpectedNotModified = () =>
  new ElfinError('SOURCE_FAILED', 'The source says "not modified" to a plain request.');

/** Reads originals: each once, however many derivatives of it are asked for at once. */
export function createSourceReader(options: SourceReaderOptions): SourceReader {
  const { source, codec, maxBytes, lane, budget, shared } = options;
  const entries = new Map<string, Entry>();

  async function read(name: string, context: RunContext, known?: Revision) {
    return lane.run(
      async ({ waited }) => {
        addSpan('queue', waited, context);
        const { signal, traceparent } = context;
        const reply = await timed('fetch', context, async () => {
          const reply = await source.read(parseSource(name), { signal, traceparent, ...(known ? { known } : {}) });
          return reply.state === 'same' ? reply : { ...reply, bytes: await readCapped(reply, maxBytes, signal) };
        });
        if (reply.state === 'same') return 'same' as const;
        const { bytes, revision, pinned, scope = 'public' } = reply;
        const header = await codec.probe(bytes);
        let digest: Promise<string> | undefined;
        const digestOnce = () => {
          digest ??= sha256(bytes);
          return digest;
        };
        const validator = reply.validator ?? { sha256: await digestOnce() };
        const size = bytes.byteLength;
        return { bytes, size, digest: digestOnce, header, revision, validator, pinned, scope, checkedAt: Date.now() };
      },
      { signal: context.signal },
    );
  }

  async function join(entry: Entry, name: string, signal: AbortSignal): Promise<Fetched> {
    entry.users += 1;
    let open = true;
    const release = () => {
      if (!open) return;
      open = false;
      entry.users -= 1;
      if (entry.users > 0) return;
      entry.letGo?.();
      if (entries.get(name) === entry) entries.delete(name);
    };
    try {
      return { ...(await interruptible(entry.reading, signal)), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  function begin(name: string, context: RunContext): Entry {
    // What several wait for does not end with the first of them: the source's own time limit ends it.
    const signal = shared ? new AbortController().signal : context.signal;
    const reading = read(name, { ...context, signal }).then((found) => {
      if (found === 'same') throw unexpectedNotModified();
      entry.header = found.header;
      // Whoever waited for it may have left meanwhile.
      if (entry.users > 0) entry.letGo = budget.hold(found.size);
      return found;
    });
    reading.catch(() => undefined);
    const entry: Entry = { reading, users: 0 };
    if (shared) entries.set(name, entry);
    return entry;
  }

  return {
    async fetch(name, context, { known, urgent = false } = {}) {
      const present = entries.get(name);
      if (present) return join(present, name, context.signal);
      if (!known) {
        if (!urgent) await budget.room(context.signal);
        return join(entries.get(name) ?? begin(name, context), name, context.signal);
      }
      const found = await read(name, context, known);
      if (found === 'same') return found;
      return { ...found, release: budget.hold(found.size) };
    },
    peek: (name) => entries.get(name)?.header,
  };
}
