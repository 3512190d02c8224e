import { ElfinError } from '@elfin/core';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import type { Transform } from './parse.ts';
import { formatOptions, formatTransform, parseTransform } from './parse.ts';

/** One secret. The first of a list signs; all of them verify, so that keys can be rotated without breaking links. */
export interface UrlKey {
  /** 1…32 letters, digits, `-` and `_`; it travels in the URL. */
  readonly id: string;
  /** At least 16 bytes. */
  readonly secret: Uint8Array;
}

/** The three query parameters that a transform URL may carry. */
export interface Credentials {
  /** Seconds since the epoch, as written. */
  readonly exp?: string;
  readonly kid?: string;
  readonly sig?: string;
}

export interface SignOptions {
  /** Seconds that the URL stays valid; without it, for ever. */
  readonly ttl?: number;
  /**
   * Seconds that `exp` is rounded up to, an hour by default: all URLs of one window are equal, so that caches and
   * browsers see one resource instead of a new one each render.
   */
  readonly window?: number;
  /** Milliseconds since the epoch; the clock by default. */
  readonly now?: number;
}

export interface Signer {
  /** The path and query of a signed URL: `/<prefix>/<options>/<source>?exp=…&kid=…&sig=…`. Errors: as `formatTransform`. */
  sign(transform: Transform, options?: SignOptions): Promise<string>;
  /**
   * Resolves to the second at which the URL expires (`undefined`: never).
   * Errors: SIGNATURE_INVALID (missing, wrong, or over anything else), SIGNATURE_EXPIRED.
   */
  verify(
    transform: Transform,
    credentials: Credentials,
    now?: number,
  ): Promise<{ readonly exp?: number | undefined; readonly kid: string }>;
  /**
   * The path and query that cancels a job for everyone who waits for it: `/jobs/<id>/cancel?exp=…&kid=…&sig=…`, for a POST.
   * Whoever sees a job's id may watch it; only a holder of a key may stop it. Errors: OPTION_INVALID.
   */
  signCancel(job: string, options?: SignOptions): Promise<string>;
  /** Errors: as `verify`. */
  verifyCancel(job: string, credentials: Credentials, now?: number): Promise<void>;
  /** An unguessable name for `text` that only holders of the first key can make. 22 characters of base64url. */
  name(text: string): Promise<string>;
}

const encoder = new TextEncoder();
/** Seconds since the epoch, as a URL may carry them. */
const EXPIRY = /^[0-9]{1,12}$/;
/** What {@link Signer.name} gives: also what becomes part of a store's key. */
export const JOB_ID = /^[A-Za-z0-9_-]{22}$/;

/** base64url without padding. */
export function toBase64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> | undefined {
  // 32 bytes are 43 characters, the last of which holds four bits: any other spelling would be a second valid URL.
  if (!/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/.test(text)) return undefined;
  return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (character) => character.charCodeAt(0));
}

/** Takes as long wherever the two differ. */
function equalInConstantTime(one: Uint8Array, other: Uint8Array): boolean {
  let difference = one.length ^ other.length;
  for (let i = 0; i < one.length; i++) difference |= (one[i] as number) ^ (other[i] ?? 0);
  return difference === 0;
}

/**
 * Reads `kid:hex,…` as in `ELFIN_URL_KEYS`. Errors: CONFIG_INVALID, without ever quoting a secret.
 */
export function parseUrlKeys(text: string): UrlKey[] {
  return text.split(',').map((part, index) => {
    const match = /^([A-Za-z0-9_-]{1,32}):((?:[0-9a-f]{2}){16,128})$/i.exec(part.trim());
    if (!match) {
      throw new ElfinError(
        'CONFIG_INVALID',
        `URL key ${index + 1} must read <id>:<at least 32 hex digits>; make one with "openssl rand -hex 32".`,
      );
    }
    const [, id = '', hex = ''] = match;
    return { id, secret: Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)) };
  });
}

/**
 * Signs and verifies transform URLs with HMAC-SHA-256 over `v1\n<prefix>\n<canonical options>\n<canonical source>\n<exp>\n<kid>`.
 * None of the parts can hold a newline, so no two different URLs have one message. Comparison takes constant time.
 * HMAC is @noble/hashes', on the spot: WebCrypto's goes by a thread pool, which costs a URL ten times what the hash does.
 * Errors: CONFIG_INVALID for no keys, a short one, or two of one id.
 */
export function createSigner(options: { readonly keys: readonly UrlKey[]; readonly prefix?: string }): Signer {
  const prefix = options.prefix ?? 'i';
  const [first] = options.keys;
  if (first === undefined)
    throw new ElfinError('CONFIG_INVALID', 'Signing needs at least one URL key; set ELFIN_URL_KEYS.');
  // The hash after the padded secret, which every message goes on from.
  const keys = new Map<string, (message: Uint8Array) => Uint8Array>();
  for (const { id, secret } of options.keys) {
    if (secret.length < 16 || !/^[A-Za-z0-9_-]{1,32}$/.test(id) || keys.has(id)) {
      throw new ElfinError(
        'CONFIG_INVALID',
        `URL key "${id.slice(0, 32)}" is shorter than 16 bytes, badly named or given twice.`,
      );
    }
    const state = hmac.create(sha256, secret);
    keys.set(id, (message) => state.clone().update(message).digest());
  }
  const signFirst = keys.get(first.id) as (message: Uint8Array) => Uint8Array;

  /** What is signed of a thing, without the two lines that all messages end in. */
  const transformText = ({ options, source }: Transform) => `v1\n${prefix}\n${formatOptions(options)}\n${source}`;
  const cancelText = (job: string) => `cancel v1\n${prefix}\n${job}`;
  const message = (text: string, exp: string, kid: string) => encoder.encode(`${text}\n${exp}\n${kid}`);

  /** The query that proves `text`. */
  function prove(text: string, { ttl, window = 3600, now = Date.now() }: SignOptions): string {
    const exp = ttl === undefined ? '' : String(Math.ceil((now / 1000 + ttl) / window) * window);
    if (ttl !== undefined && !(ttl > 0 && Number.isInteger(window) && window > 0 && EXPIRY.test(exp))) {
      throw new ElfinError('OPTION_INVALID', 'A signed URL’s ttl is seconds above zero, its window whole seconds.');
    }
    const bytes = signFirst(message(text, exp, first?.id ?? ''));
    return `${exp === '' ? '' : `exp=${exp}&`}kid=${first?.id}&sig=${toBase64Url(bytes)}`;
  }

  function check(text: string, { exp = '', kid = '', sig }: Credentials, now: number) {
    const refuse = (why: string) => new ElfinError('SIGNATURE_INVALID', why);
    if (sig === undefined) throw refuse('The URL is not signed; ask the site for a signed one.');
    const bytes = fromBase64Url(sig);
    // A URL signed elsewhere may leave `kid` out; its message then has none either, and each key is tried.
    const candidates = kid === '' ? [...keys] : [...keys].filter(([id]) => id === kid);
    let by: string | undefined;
    for (const [id, sign] of candidates) {
      if (bytes && equalInConstantTime(sign(message(text, exp, kid)), bytes)) by ??= id;
    }
    if (by === undefined) throw refuse('The URL’s signature is not over this URL.');
    if (exp === '') return { exp: undefined, kid: by };
    // Checked after the signature: only who holds a valid link learns that it has run out.
    const at = EXPIRY.test(exp) ? Number(exp) : 0;
    if (at * 1000 <= now)
      throw new ElfinError('SIGNATURE_EXPIRED', 'The URL’s time is over; ask the site for a new one.');
    return { exp: at, kid: by };
  }

  return {
    async sign(transform, options = {}) {
      const path = formatTransform(transform);
      // Over what a verifier reads out of the URL, not over what the caller wrote: they differ in all spellings but one.
      return `/${prefix}/${path}?${prove(transformText(parseTransform(path)), options)}`;
    },
    async verify(transform, credentials, now = Date.now()) {
      return check(transformText(transform), credentials, now);
    },
    async signCancel(job, options = {}) {
      if (!JOB_ID.test(job)) throw new ElfinError('OPTION_INVALID', 'A job’s id is 22 letters, digits, - and _.');
      return `/jobs/${job}/cancel?${prove(cancelText(job), options)}`;
    },
    async verifyCancel(job, credentials, now = Date.now()) {
      check(cancelText(job), credentials, now);
    },

    async name(text) {
      return toBase64Url(signFirst(encoder.encode(`name v1\n${prefix}\n${text}`)).subarray(0, 16));
    },
  };
}

/**
 * Reads the query of a transform URL. Errors: URL_INVALID for any parameter but `exp`, `kid`, `sig`, one given twice, or
 * another spelling than `name=value`, joined by one `&`: what is ignored or folded would let anyone make endless cache
 * entries of one image.
 */
export function parseCredentials(search: string): Credentials {
  const credentials: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(search)) {
    if (name !== 'exp' && name !== 'kid' && name !== 'sig') {
      throw new ElfinError(
        'URL_INVALID',
        `Unknown query parameter "${name.slice(0, 40)}": exp, kid and sig are known.`,
      );
    }
    if (name in credentials) throw new ElfinError('URL_INVALID', `The query parameter "${name}" is given twice.`);
    if (value === '') throw new ElfinError('URL_INVALID', `The query parameter "${name}" is empty; leave it out.`);
    credentials[name] = value;
  }
  const plain = Object.entries(credentials).map(([name, value]) => `${name}=${value}`);
  if (plain.join('&') !== search.replace(/^\?/, '')) {
    throw new ElfinError('URL_INVALID', 'The query is not spelled plainly: write exp=…&kid=…&sig=… without escapes.');
  }
  return credentials;
}
