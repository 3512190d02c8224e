import { type ObjectStore, probeConditionalWrites } from '@elfin/storage';

/** Which store holds a bucket; undefined for a bucket that the application does not serve. */
export type Storage = (bucket: string) => ObjectStore | undefined;

/**
 * Makes sure that the folder of claims stays and that its store keeps its word on conditional writes.
 *
 * @param prefix Where claims lie. `keep.json` is put there and stays, unless the store is unsuitable.
 * @throws STORE_UNSUITABLE, and whatever the store throws.
 */
export async function assertConditionalWrites(store: ObjectStore, prefix: string): Promise<void> {
  const keep = { ifAbsent: true, type: 'application/json' };
  await probeConditionalWrites(store, prefix, () =>
    store.put(`${prefix}keep.json`, new TextEncoder().encode(KEEP), keep),
  );
}

// A gateway over a file system removes a folder with its last object. versitygw 1.8.0 then sometimes takes the next claim's
// path for a folder (409 ExistingObjectIsDirectory), so the folder of claims never becomes empty.
const KEEP = '{"why":"Keeps the folder of claims from being removed with the last of them."}';
