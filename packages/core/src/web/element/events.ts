import type { ElfinError } from '../../base/errors.ts';
import type { Progress } from '../../tiling/run.ts';
import type { WebRestored } from '../page/restorer.ts';

/**
 * Where an element stands; also its custom state: `elfin-image:state(restoring)`. `idle`: there is no picture; `waiting`: lazy, not
 * near the viewport yet; `loading`: the picture is fetched; `queued`: others come first; `untouched`: `auto` found nothing to restore.
 */
export type ElfinImageState =
  | 'idle'
  | 'waiting'
  | 'loading'
  | 'queued'
  | 'restoring'
  | 'restored'
  | 'untouched'
  | 'failed';

/** What `<elfin-image>` fires. Those of elfin's own bubble and cross shadow roots; `load` and `error` are the picture's, as `<img>` has them. */
export interface ElfinImageEventMap {
  load: Event;
  error: Event;
  'elfin-statechange': CustomEvent<{ readonly state: ElfinImageState }>;
  'elfin-progress': CustomEvent<Progress>;
  'elfin-done': CustomEvent<WebRestored>;
  'elfin-error': CustomEvent<ElfinError>;
}
