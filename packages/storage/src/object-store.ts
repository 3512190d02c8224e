/** What a store tells of one object. */
export interface ObjectHead {
  readonly etag: string;
  readonly size: number;
  readonly type?: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly modified?: number;
  /** Where the bucket keeps versions. */
  readonly versionId?: string;
  /** Where it is another than the store's standard. */
  readonly storageClass?: string;
}

export interface ObjectBody extends ObjectHead {
  readonly body: ReadableStream<Uint8Array>;
}

export interface HeadOptions {
  readonly versionId?: string;
  readonly signal?: AbortSignal;
}

export interface GetOptions {
  readonly ifMatch?: string;
  readonly versionId?: string;
  /** Bytes `start`…`end`, both included. */
  readonly range?: { readonly start: number; readonly end?: number };
  readonly signal?: AbortSignal;
}

export interface PutOptions {
  /** Write only where nothing is yet (`If-None-Match: *`). Not together with `ifMatch`. */
  readonly ifAbsent?: boolean;
  /** Write only over this very ETag. */
  readonly ifMatch?: string;
  readonly type?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Only with a store that has {@link ObjectStore.tags}. */
  readonly tags?: Readonly<Record<string, string>>;
  readonly storageClass?: string;
  readonly signal?: AbortSignal;
}

/** `exists`: `ifAbsent` found an object. `conflict`: another writer was faster; the caller may look and try again. */
export type PutResult = { readonly etag: string } | 'exists' | 'conflict';

/**
 * The one storage type. edge's result stores and plugins' storage implement it; neither imports the other.
 * Errors: STORE_FAILED (retryable), STORE_UNSUITABLE (no conditional writes), INPUT_UNREADABLE (denied),
 * CREDENTIALS_EXPIRED (retryable: the provider may renew them). ETags are bare: neither quoted nor prefixed with `W/`.
 */
export interface ObjectStore {
  head(key: string, options?: HeadOptions): Promise<ObjectHead | undefined>;
  /** Undefined where nothing is; `changed` where `ifMatch` does not hold. */
  get(key: string, options?: GetOptions): Promise<ObjectBody | 'changed' | undefined>;
  put(key: string, bytes: Uint8Array | ReadableStream<Uint8Array>, options?: PutOptions): Promise<PutResult>;
  /** False where `ifMatch` does not hold; deleting what is not there succeeds. */
  delete(key: string, options?: { readonly ifMatch?: string }): Promise<boolean>;
  /** The object's tags, by name; empty where it has none or is not there. Absent: the store knows no tags. */
  tags?(key: string, options?: HeadOptions): Promise<Readonly<Record<string, string>>>;
  list(
    prefix: string,
    cursor?: string,
  ): Promise<{ readonly objects: readonly (ObjectHead & { readonly key: string })[]; readonly cursor?: string }>;
}
