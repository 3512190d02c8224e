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
  }): void;
  stop(): void;
}

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
  let started = false;
  return {
    shown: true,
    update({ label, phase, done, total }) {
      if (!started) {
        bar.start(total, done, { label, phase });
        started = true;
        return;
      }
      bar.setTotal(total);
      bar.update(done, { label, phase });
    },
    stop() {
      if (started) bar.stop();
      started = false;
    },
  };
}
