/** Seconds a megapixel that are guessed before anything has been measured. */
const GUESS = 6;
const KEY = 'elfin-seconds-per-megapixel';

function remembered(): number {
  try {
    return Number(localStorage.getItem(KEY)) || GUESS;
  } catch {
    // Storage refused: the guess does.
    return GUESS;
  }
}

/**
 * Progress that moves within a tile, and how long it still takes: between two true reports the bar nears the next one as the time
 * of the tiles before, or of earlier photos, lets it. `show` gets a fraction and seconds.
 */
export function startPace(megapixels: number, show: (fraction: number, left: number) => void) {
  const began = performance.now();
  let [fraction, at, step] = [0, began, 1];
  let rate = 1 / (remembered() * megapixels * 1000);
  const tick = () => {
    const since = performance.now() - at;
    const shown = fraction + step * 0.97 * (1 - Math.exp((-since * rate) / step));
    show(Math.min(0.99, shown), Math.max(1, Math.round((1 - shown) / rate / 1000)));
  };
  const timer = setInterval(tick, 200);
  return {
    /** A true report. */
    report(value: number): void {
      if (value <= fraction) return;
      const now = performance.now();
      step = Math.min(value - fraction, 1 - value) || 1 - fraction;
      [fraction, at] = [value, now];
      rate = value / (now - began);
      tick();
    },
    end(done: boolean): void {
      clearInterval(timer);
      if (!done) return;
      try {
        localStorage.setItem(KEY, String((performance.now() - began) / 1000 / megapixels));
      } catch {
        // As above.
      }
    },
  };
}
