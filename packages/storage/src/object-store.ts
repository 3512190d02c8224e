/** What a store tells of one object. */
export interface ObjectHead {
  readonly etag: string;
  readonly size: number;
  readonly type?: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly modified?: number | undefined;
  /** Where the bucket keeps versions, and the store can read one by its id. */
  readonly versionId?: string | undefined;
  /** Where it is another than the store's standard. */
  readonly storageClass?: string | undefined;
}

export interface ObjectBody extends ObjectHead {
  /** Fails with STORE_FAILED where it ends early, stands still, or is other than its checksum says. */
  readonly body: ReadableStream<Uint8Array>;
}

export interface HeadOptions {
  readonly versionId?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface GetOptions extends HeadOptions {
  readonly ifMatch?: string | undefined;
  /** Bytes `start`…`end`, both included. */
  readonly range?: { readonly start: number; readonly end?: number | undefined } | undefined;
}

export interface PutOptions {
  /** Write only where nothing is yet (`If-None-Match: *`). Not together with `ifMatch`. */
  readonly ifAbsent?: boolean | undefined;
  /** Write only over this very ETag. */
  readonly ifMatch?: string | undefined;
  readonly type?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Only with a store that has {@link ObjectStore.tags}. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly storageClass?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface DeleteOptions {
  /** Delete only this very ETag. */
  readonly ifMatch?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** `exists`: `ifAbsent` found an object. `conflict`: another writer was faster; the caller may look and try again. */
export type PutResult = { readonly etag: string } | 'exists' | 'conflict';

/** One page of a listing, in the order of keys; `cursor` leads to the next page and is absent on the last. */
export interface ObjectPage {
  readonly objects: readonly (ObjectHead & { readonly key: string })[];
  readonly cursor?: string | undefined;
}

/**
 * The one storage type: edge's result stores and plugins' buckets are of it; neither package imports the other.
 * Every call ends: stores that speak over a network have time limits of their own.
 * Errors: STORE_FAILED (retryable), STORE_UNSUITABLE (no conditional writes), INPUT_UNREADABLE (denied),
 * CREDENTIALS_EXPIRED (retryable: the provider may renew them), OBJECT_ARCHIVED, KEY_UNSAFE, ABORTED. ETags are bare:
 * neither quoted nor prefixed with `W/`.
 */
export interface ObjectStore {
  head(key: string, options?: HeadOptions): Promise<ObjectHead | undefined>;
  /** Undefined where nothing is; `changed` where `ifMatch` does not hold. */
  get(key: string, options?: GetOptions): Promise<ObjectBody | 'changed' | undefined>;
  put(key: string, bytes: Uint8Array | ReadableStream<Uint8Array>, options?: PutOptions): Promise<PutResult>;
  /** False where `ifMatch` does not hold; deleting what is not there succeeds. */
  delete(key: string, options?: DeleteOptions): Promise<boolean>;
  /** The object's tags, by name; empty where it has none or is not there. Absent: the store knows no tags. */
  tags?(key: string, options?: HeadOptions): Promise<Readonly<Record<string, string>>>;
  list(prefix: string, cursor?: string, options?: { readonly signal?: AbortSignal | undefined }): Promise<ObjectPage>;
}
