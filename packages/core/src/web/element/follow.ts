import { aborted, ElfinError, isElfinError } from '../../base/errors.ts';
import type { RestoreOptions } from '../../restore/options.ts';
import type { WebRestored, WebRestorer } from '../page/restorer.ts';
import type { Compare } from './compare.ts';
import { distanceFromView, takeTurn } from './queue.ts';

export interface FollowOptions extends RestoreOptions {
  readonly restorer: WebRestorer;
  readonly signal: AbortSignal;
  /** The picture is loaded, the work waits for its turn or begins. */
  readonly onStep?: (step: 'queued' | 'restoring') => void;
}

/** Restores a picture of the page under `view`. Errors: those of `Restorer.restore`, which `view` shows, ABORTED excepted. */
export async function follow(view: Compare, picture: HTMLImageElement, options: FollowOptions): Promise<WebRestored> {
  const { restorer, signal, onStep, ...given } = options;
  let leave: (() => void) | undefined;
  try {
    await loaded(picture, signal);
    view.begin(picture.naturalWidth, picture.naturalHeight);
    onStep?.('queued');
    leave = await takeTurn(() => distanceFromView(picture), signal);
    onStep?.('restoring');
    view.busy('Restoring…');
    const result = await restorer.restore(picture, {
      ...given,
      signal,
      onTile: (tile) => {
        view.draw(tile);
        given.onTile?.(tile);
      },
      onProgress: (progress) => {
        view.busy(`Restoring: ${Math.round(progress.fraction * 100)} %`);
        given.onProgress?.(progress);
      },
    });
    if (result.report.task === 'none') {
      view.begin(1, 1);
      view.say('Nothing was found that needs restoring.');
      return result;
    }
    await view.finish(result.image);
    if (signal.aborted) throw aborted(signal);
    view.say(view.handle ? 'Restored. The handle parts before from after.' : 'Restored.');
    return result;
  } catch (error) {
    // What took the place of this work meanwhile has the view to itself.
    if (signal.aborted) throw isElfinError(error) ? error : aborted(signal);
    view.begin(1, 1);
    view.fail(error instanceof Error ? error.message : String(error));
    throw error;
  } finally {
    leave?.();
  }
}

/** Waits until a picture has been fetched and can be shown. Errors: INPUT_UNREADABLE, ABORTED. */
export async function loaded(picture: HTMLImageElement, signal: AbortSignal): Promise<void> {
  const failed = () => {
    const name = picture.currentSrc || picture.src;
    const where = name.startsWith('data:') || !name ? '' : ` (${name})`;
    return new ElfinError('INPUT_UNREADABLE', `The picture on the page is not loaded or is broken${where}.`);
  };
  // What was set just now the browser takes up behind it.
  await Promise.resolve();
  if (picture.complete && (picture.currentSrc || picture.src)) {
    if (picture.naturalWidth === 0) throw failed();
    return;
  }
  await new Promise<void>((resolve, reject) => {
    const heard = new AbortController();
    const once = { signal: heard.signal };
    const over = (end: () => void) => () => {
      heard.abort();
      end();
    };
    picture.addEventListener('load', over(resolve), once);
    picture.addEventListener(
      'error',
      over(() => reject(failed())),
      once,
    );
    if (signal.aborted) return over(() => reject(aborted(signal)))();
    signal.addEventListener(
      'abort',
      over(() => reject(aborted(signal))),
      once,
    );
  });
}
