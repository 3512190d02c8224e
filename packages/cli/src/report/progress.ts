import { Presets, SingleBar } from 'cli-progress';

/** One line of progress on standard error: a bar on a terminal, nothing elsewhere (logs are for results). */
export interface ProgressLine {
  /** Whether anybody sees it. */
  readonly shown: boolean;
  /** `done` of `total` steps of a phase of one file. */
  update(state: {
    readonly label: string;
    readonly phase: string;
    readonly done: number;
    readonly total: number;
    /** Tiles of the file: between two of them the bar moves by the time that the last one took. */
    readonly tiles?: number | undefined;
  }): void;
  stop(): void;
}

/** Between two signs of life. */
const TICK_MS = 200;
/** What a tile is reckoned to take before one has been through. */
const TILE_MS = 2000;

/** A bar where somebody looks at it, silence in pipes, under `--json` and in CI. */
export function createProgress({ enabled }: { enabled: boolean }): ProgressLine {
  if (!enabled || !process.stderr.isTTY) return { shown: false, update() {}, stop() {} };
  const bar = new SingleBar(
    {
      format: '{label}  {bar} {percentage}%  {phase}  {duration_formatted}',
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
      barsize: 24,
    },
    Presets.shades_classic,
  );
  let timer: NodeJS.Timeout | undefined;
  let at = { label: '', done: 0, total: 1, step: 0, since: 0, pace: TILE_MS };
  // Towards the next tile's end, ever slower, and never there before it is.
  const tick = () =>
    bar.update(Math.min(at.total, at.done + at.step * (1 - Math.exp((at.since - performance.now()) / at.pace))));
  return {
    shown: true,
    update({ label, phase, done, total, tiles = 0 }) {
      const now = performance.now();
      const moved = at.label === label && done > at.done;
      const pace = moved && at.step > 0 ? Math.max(TICK_MS, ((now - at.since) * at.step) / (done - at.done)) : at.pace;
      at = { label, done, total, step: tiles > 0 ? total / tiles : 0, since: now, pace };
      if (timer) bar.update(done, { label, phase });
      else {
        bar.start(total, done, { label, phase });
        timer = setInterval(tick, TICK_MS).unref();
      }
      bar.setTotal(total);
    },
    stop() {
      if (timer) bar.stop();
      clearInterval(timer);
      timer = undefined;
      at = { label: '', done: 0, total: 1, step: 0, since: 0, pace: TILE_MS };
    },
  };
}
