import { type Codec, type Metadata, sha256 } from '@elfin/core';
import { type ObjectStore, readAll } from '@elfin/storage';
import type { RestoredFacts, RestoredPicture } from '../backends/backend.ts';

/** Restored photos by key: what every size, format and quality of one photo is made from. */
export interface PictureStore {
  /** Undefined where none is, or where what is there is not what was put. */
  get(key: string): Promise<RestoredPicture | undefined>;
  put(key: string, picture: RestoredPicture): Promise<void>;
  delete(key: string): Promise<void>;
}

/** The line before the pixels. */
interface Preamble {
  readonly facts: RestoredFacts;
  readonly metadata: Record<string, unknown>;
}

const path = (key: string) => `restored/${key}`;
const encoder = new TextEncoder();

/**
 * Keeps restored pictures without loss: a line of JSON (what restored them, the source's metadata), then a PNG of the samples as
 * they are, without a profile, so that no codec converts them. Checked against a digest when read, as results are.
 */
export function createPictureStore(options: { readonly store: ObjectStore; readonly codec: Codec }): PictureStore {
  const { store, codec } = options;
  return {
    async get(key) {
      const object = await store.get(path(key));
      if (object === undefined || object === 'changed') return undefined;
      const body = await readAll(object.body);
      const end = body.indexOf(10);
      if (end < 0 || (await sha256(body)) !== object.metadata.sha256) return undefined;
      const { facts, metadata } = JSON.parse(new TextDecoder().decode(body.subarray(0, end))) as Preamble;
      const png = body.subarray(end + 1);
      const beside = { facts, metadata: readMetadata(metadata) };
      if (png.byteLength === 0) return { image: undefined, ...beside };
      const {
        header: _,
        metadata: __,
        ...image
      } = await codec.decode(png, {
        icc: 'keep',
        limits: { bytes: png.byteLength, pixels: Number.MAX_SAFE_INTEGER },
      });
      return { image, ...beside };
    },
    async put(key, { image, metadata, facts }) {
      const line = encoder.encode(`${JSON.stringify({ facts, metadata: writeMetadata(metadata) })}\n`);
      const png = image ? await codec.encode(image, { format: 'png' }) : new Uint8Array();
      const body = new Uint8Array(line.byteLength + png.byteLength);
      body.set(line);
      body.set(png, line.byteLength);
      const about = { type: 'application/octet-stream', metadata: { sha256: await sha256(body) } };
      await store.put(path(key), body, about);
    },
    async delete(key) {
      await store.delete(path(key));
    },
  };
}

const toBase64 = (bytes: Uint8Array) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
const fromBase64 = (text: string) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

/** Bytes as `{ base64 }`, everything else as JSON has it. */
function writeMetadata(metadata: Metadata): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(metadata).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? { base64: toBase64(value) } : value,
    ]),
  );
}

function readMetadata(written: Record<string, unknown>): Metadata {
  const isBytes = (value: unknown): value is { readonly base64: string } =>
    typeof value === 'object' && value !== null && 'base64' in value;
  return Object.fromEntries(
    Object.entries(written).map(([name, value]) => [name, isBytes(value) ? fromBase64(value.base64) : value]),
  );
}
