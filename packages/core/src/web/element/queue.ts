import { aborted } from '../../base/errors.ts';

interface Waiting {
  readonly distance: () => number;
  readonly start: () => void;
}

const waiting: Waiting[] = [];
let busy = false;

/**
 * Resolves when it is a picture's turn: one at a time in a page, the one nearest to the viewport first, so that what is looked at
 * comes first and what waits holds no pixels. What it gives back ends the turn. Errors: ABORTED.
 */
export function takeTurn(distance: () => number, signal: AbortSignal): Promise<() => void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(aborted(signal));
    const leave = () => {
      waiting.splice(waiting.indexOf(mine), 1);
      reject(aborted(signal));
    };
    const mine: Waiting = {
      distance,
      start() {
        signal.removeEventListener('abort', leave);
        let over = false;
        resolve(() => {
          if (over) return;
          over = true;
          // Whoever leaves says first how it went.
          setTimeout(() => {
            busy = false;
            next();
          });
        });
      },
    };
    signal.addEventListener('abort', leave, { once: true });
    waiting.push(mine);
    next();
  });
}

function next(): void {
  if (busy || waiting.length === 0) return;
  let nearest = 0;
  const distances = waiting.map(({ distance }) => distance());
  for (const [index, value] of distances.entries()) if (value < distances[nearest]!) nearest = index;
  busy = true;
  waiting.splice(nearest, 1)[0]!.start();
}

/** Pixels between an element and the viewport; 0 where it is in view. */
export function distanceFromView(element: Element): number {
  const { top, bottom, left, right } = element.getBoundingClientRect();
  return Math.max(0, top - innerHeight, -bottom) + Math.max(0, left - innerWidth, -right);
}

/** Resolves when an element is in the viewport or close to it, as browsers do with `loading=lazy`. Errors: ABORTED. */
export function nearView(element: Element, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(aborted(signal));
    const leave = () => {
      observer.disconnect();
      reject(aborted(signal));
    };
    const observer = new IntersectionObserver(
      (entries) => {
        if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
        observer.disconnect();
        signal.removeEventListener('abort', leave);
        resolve();
      },
      // About a screen ahead: fetching and restoring takes as long as scrolling that far.
      { rootMargin: '800px' },
    );
    observer.observe(element);
    signal.addEventListener('abort', leave, { once: true });
  });
}
