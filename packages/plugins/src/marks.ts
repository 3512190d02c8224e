/**
 * User metadata that elfin writes on its own objects. `elfin-restored` marks a result: whatever bears it is never
 * restored again.
 */
export const RESTORED_MARK = 'elfin-restored';
/** The ETag of the source that a result was made of. */
export const SOURCE_MARK = 'elfin-source';
/** The sequencer of the event that an alias was written for. */
export const SEQUENCER_MARK = 'elfin-sequencer';
/** The key of the immutable result that an alias repeats, percent-encoded: metadata is ASCII. */
export const RESULT_MARK = 'elfin-result';
