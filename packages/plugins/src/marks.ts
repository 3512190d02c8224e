/**
 * User metadata that elfin writes on its own objects. `elfin-restored` marks a result and is its digest: whatever bears it
 * is never restored again.
 */
export const RESTORED_MARK = 'elfin-restored';
/** The ETag of the source that a result was made of. */
export const SOURCE_MARK = 'elfin-source';
/** The sequencer of the event that an alias was written for. */
export const SEQUENCER_MARK = 'elfin-sequencer';

export interface Marks {
  readonly digest: string;
  readonly etag: string;
  readonly sequencer?: string | undefined;
}

// S3 takes 2 KB of user metadata, names and values together.
const MOST_METADATA = 2048;

/** The source's user metadata with elfin's marks; without the former where both together were too long to be stored. */
export function markedMetadata(user: Readonly<Record<string, string>>, marks: Marks): Record<string, string> {
  const own = {
    [RESTORED_MARK]: marks.digest,
    [SOURCE_MARK]: marks.etag,
    ...(marks.sequencer !== undefined && { [SEQUENCER_MARK]: marks.sequencer }),
  };
  const all = { ...user, ...own };
  const size = Object.entries(all).reduce(
    (sum, [name, value]) => sum + name.length + new TextEncoder().encode(value).length,
    0,
  );
  return size > MOST_METADATA ? own : all;
}
