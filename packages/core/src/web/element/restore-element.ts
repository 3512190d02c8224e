import type { RestoreOptions } from '../../restore/options.ts';
import type { WebRestored, WebRestorer } from '../page/restorer.ts';
import { type Compare, createCompare } from './compare.ts';
import { follow } from './follow.ts';
import { coverPicture, placeUnnoticed } from './overlay.ts';

export interface RestoreElementOptions extends RestoreOptions {
  readonly restorer: WebRestorer;
  /** Whether a handle parts before from after; true by default. */
  readonly handle?: boolean | undefined;
}

/** A picture that is being restored in place. */
export interface RestoredElement {
  readonly compare: Compare;
  /** The result. Errors: those of `Restorer.restore`; the picture then stands as it was, and the reason is shown over it. */
  readonly restored: Promise<WebRestored>;
  /** Stops the work and takes away what was laid over the picture. */
  remove(): void;
}

/**
 * Restores a picture of the page in place: tiles are drawn over it as they come, then a handle parts before from after, for
 * pointer, keyboard and screen reader. The picture itself stays as it is and where it is, its listeners, classes and place in a
 * `<picture>` included: the result lies over it, in an element that takes no room, with the picture's own `object-fit`, radius
 * and size. In a `<picture>` what the browser has chosen (`currentSrc`) is restored. One at a time in a page.
 * @example
 * ```ts
 * import { restoreElement } from '@elfin/core/element';
 * import { createRestorer, fetchModels } from '@elfin/core/web';
 *
 * const restorer = createRestorer({ models: fetchModels('/elfin/models') });
 * const place = restoreElement(document.querySelector('img')!, { restorer, task: 'derain' });
 * await place.restored;
 * place.remove();
 * ```
 */
export function restoreElement(picture: HTMLImageElement, options: RestoreElementOptions): RestoredElement {
  const { handle, ...given } = options;
  const compare = createCompare(undefined, { handle });
  const { anchor, follow: keep } = coverPicture(picture, compare);
  placeUnnoticed(picture, anchor);
  const leave = keep();
  const stop = new AbortController();
  const signal = given.signal ? AbortSignal.any([given.signal, stop.signal]) : stop.signal;
  return {
    compare,
    restored: follow(compare, picture, { ...given, signal }),
    remove() {
      stop.abort();
      leave();
      anchor.remove();
    },
  };
}
