/** How far a batch is, and how long the rest may take. */
export interface Estimate {
  /** One input is through; `bytes` are its file's, undefined for one that cost no work. */
  done(bytes: number | undefined): void;
  /** `37 of 500, about 4 min`; without a time as long as nothing is known. */
  text(): string;
}

/** The time left is that of the work done so far, by the bytes of the files: within one folder they go with the pixels. */
export function createEstimate(sizes: readonly (number | undefined)[], now = () => performance.now()): Estimate {
  const begun = now();
  const usual = mean(sizes.filter((size) => size !== undefined)) || 1;
  let left = sizes.reduce<number>((sum, size) => sum + (size ?? usual), 0);
  let worked = 0;
  let count = 0;
  return {
    done(bytes) {
      count += 1;
      left -= bytes ?? usual;
      worked += bytes ?? 0;
    },
    text() {
      const seconds = worked > 0 ? ((now() - begun) / 1000 / worked) * Math.max(0, left) : undefined;
      const time = seconds === undefined || count === sizes.length ? '' : `, about ${roughly(seconds)}`;
      return `${count} of ${sizes.length}${time}`;
    },
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

/** Seconds as people say them. */
export function roughly(seconds: number): string {
  if (seconds < 55) return `${Math.max(1, Math.round(seconds / 5) * 5)} s`;
  if (seconds < 90 * 60) return `${Math.max(1, Math.round(seconds / 60))} min`;
  return `${(seconds / 3600).toFixed(1).replace(/\.0$/, '')} h`;
}
