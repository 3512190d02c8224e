import { sha256 } from '@elfin/core';
import { encodeWords } from '@elfin/storage';

/**
 * User metadata that elfin writes on its own objects. `elfin-restored` marks a result and is its digest: whatever bears it
 * is never restored again.
 */
export const RESTORED_MARK = 'elfin-restored';
/** The ETag of the source that a result was made of. */
export const SOURCE_MARK = 'elfin-source';
/** The sequencer of the event that an alias was written for. */
export const SEQUENCER_MARK = 'elfin-sequencer';
/** Whose alias it is, see {@link originOf}: another source's is never written over. */
export const ORIGIN_MARK = 'elfin-origin';

export interface Marks {
  readonly digest: string;
  readonly etag: string;
  readonly sequencer?: string | undefined;
  readonly origin?: string;
}

/** The same for every version of one source, another for every other: 32 hexadecimal digits. */
export const originOf = async ({ bucket, key }: { readonly bucket: string; readonly key: string }) =>
  (await sha256(new TextEncoder().encode(JSON.stringify([bucket, key])))).slice(0, 32);

// S3 takes 2 KB of user metadata, names and values together; counted as they are sent, which is never less.
const MOST_METADATA = 2048;

/** The source's user metadata with elfin's marks; without the former where both together were too long to be stored. */
export function markedMetadata(user: Readonly<Record<string, string>>, marks: Marks): Record<string, string> {
  const own = {
    [RESTORED_MARK]: marks.digest,
    [SOURCE_MARK]: marks.etag,
    ...(marks.sequencer !== undefined && { [SEQUENCER_MARK]: marks.sequencer }),
    ...(marks.origin !== undefined && { [ORIGIN_MARK]: marks.origin }),
  };
  const all = { ...user, ...own };
  const size = Object.entries(all).reduce((sum, [name, value]) => sum + name.length + encodeWords(value).length, 0);
  return size > MOST_METADATA ? own : all;
}
