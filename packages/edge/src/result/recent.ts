import { LRUCache } from 'lru-cache';
import type { Finished } from './pipeline.ts';
import type { Restoration } from './restoration.ts';

/** What this process has just made and holds in memory. */
export interface Recent {
  /** Results that are not in the store yet, or may not be, by the name of their plan. */
  readonly results: Map<string, Finished>;
  /** The last restored pictures, by the name of the restoration. */
  readonly restorations: {
    get(name: string): Restoration | undefined;
    set(name: string, restoration: Restoration): unknown;
    clear(): void;
  };
}

/** `bytes`: most of restored pictures in memory; 0 for none. */
export function createRecent(bytes: number): Recent {
  const none = { get: () => undefined, set: () => undefined, clear: () => undefined };
  const restorations =
    bytes > 0
      ? new LRUCache<string, Restoration>({
          maxSize: bytes,
          sizeCalculation: ({ picture }) => 1 + (picture.image?.data.byteLength ?? 0),
        })
      : none;
  return { results: new Map(), restorations };
}

/** Milliseconds that a result which may not be stored waits for whoever was told to ask again. */
const HANDOVER_MS = 10_000;

/** Holds a result in memory until `kept` is over; one that no store may keep for ten seconds. */
export function remember(recent: Recent, name: string, finished: Finished, kept: Promise<unknown>): void {
  recent.results.set(name, finished);
  const forget = () => {
    if (recent.results.get(name) === finished) recent.results.delete(name);
  };
  if (finished.scope !== 'no-store') {
    kept.then(forget, forget);
    return;
  }
  const timer = setTimeout(forget, HANDOVER_MS);
  (timer as { unref?: () => void }).unref?.();
}
