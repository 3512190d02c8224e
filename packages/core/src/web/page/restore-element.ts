import { isElfinError } from '../../base/errors.ts';
import type { RestoreOptions } from '../../restore/options.ts';
import type { Restored } from '../../restorer.ts';
import { COMPARE_STYLE, type Compare, createCompare } from './compare.ts';
import type { WebRestorer } from './restorer.ts';

export { COMPARE_STYLE, type Compare, createCompare, paintPixels, toImageData } from './compare.ts';

export interface RestoreElementOptions extends RestoreOptions {
  readonly restorer: WebRestorer;
}

/** A picture that is being restored in place. */
export interface RestoredElement {
  readonly compare: Compare;
  /** The result. Errors: those of `Restorer.restore`; the picture then stands as it was, and the reason is said. */
  readonly restored: Promise<Restored>;
  /** Stops the work and puts the picture back where it was. */
  remove(): void;
}

/**
 * Restores a picture of the page in place: tiles are drawn over it as they come, then a handle parts before from after, for
 * pointer, keyboard and screen reader.
 */
export function restoreElement(picture: HTMLImageElement, options: RestoreElementOptions): RestoredElement {
  const place = document.createComment('elfin');
  picture.replaceWith(place);
  const compare = createCompare(picture);
  const style = Object.assign(document.createElement('style'), { textContent: COMPARE_STYLE });
  compare.root.append(style);
  place.after(compare.root);
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  return {
    compare,
    restored: follow(compare, picture, { ...options, signal }),
    remove() {
      stop.abort();
      compare.root.remove();
      place.replaceWith(picture);
    },
  };
}

/**
 * Defines `<elfin-image src task alt strength>`, which restores its `src` when it is shown and fires `elfin-done` and
 * `elfin-error` (`event.detail`: the result, the error). Changing `src`, `task` or `strength` starts anew; taking it out
 * of the page stops it. Pictures of other sites need CORS headers.
 */
export function defineElfinImage(restorer: WebRestorer, name = 'elfin-image'): void {
  customElements.define(
    name,
    class extends HTMLElement {
      static readonly observedAttributes = ['src', 'task', 'alt', 'strength'];
      #stop: AbortController | undefined;

      connectedCallback(): void {
        this.#start();
      }

      disconnectedCallback(): void {
        this.#stop?.abort();
      }

      attributeChangedCallback(attribute: string, _: string | null, value: string | null): void {
        if (attribute !== 'alt') this.#start();
        else this.shadowRoot?.querySelector('img')?.setAttribute('alt', value ?? '');
      }

      #start(): void {
        this.#stop?.abort();
        const src = this.getAttribute('src');
        if (!this.isConnected || !src) return;
        this.#stop = new AbortController();
        const { signal } = this.#stop;
        const picture = new Image();
        picture.crossOrigin = 'anonymous';
        picture.alt = this.getAttribute('alt') ?? '';
        picture.src = src;
        const compare = createCompare(picture);
        const root = this.shadowRoot ?? this.attachShadow({ mode: 'open' });
        const style = Object.assign(document.createElement('style'), { textContent: COMPARE_STYLE });
        root.replaceChildren(style, compare.root);
        const task = (this.getAttribute('task') ?? 'derain') as RestoreOptions['task'];
        const strength = this.getAttribute('strength');
        const options = { restorer, task, signal, ...(strength !== null && { strength: Number(strength) }) };
        follow(compare, picture, options).then(
          (detail) => this.dispatchEvent(new CustomEvent('elfin-done', { detail, bubbles: true })),
          (detail) => {
            if (!signal.aborted) this.dispatchEvent(new CustomEvent('elfin-error', { detail, bubbles: true }));
          },
        );
      }
    },
  );
}

async function follow(
  compare: Compare,
  picture: HTMLImageElement,
  { restorer, ...options }: RestoreElementOptions,
): Promise<Restored> {
  try {
    compare.say('Restoring…', true);
    await picture.decode().catch(() => {});
    compare.begin(picture.naturalWidth || 1, picture.naturalHeight || 1);
    const result = await restorer.restore(picture, {
      ...options,
      onTile: (tile) => {
        compare.draw(tile);
        options.onTile?.(tile);
      },
      onProgress: (progress) => {
        compare.say(`Restoring: ${Math.round(progress.fraction * 100)} %`, true);
        options.onProgress?.(progress);
      },
    });
    await compare.finish(result.image);
    compare.say('Restored. The handle parts before from after.');
    return result;
  } catch (error) {
    compare.begin(1, 1);
    if (!(isElfinError(error) && error.code === 'ABORTED')) {
      compare.say(error instanceof Error ? error.message : String(error), true);
    }
    throw error;
  }
}
