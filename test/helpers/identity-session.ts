import type { Feeds, Outputs, RunOptions, Session, SessionOptions, Tensor } from '@elfin/core';

/** What an {@link identitySessions} did and holds. */
export interface SessionLog {
  readonly opened: SessionOptions[];
  readonly fed: Feeds[];
  alive: number;
  running: number;
  mostRunning: number;
}

export interface IdentityOptions {
  /** Called before each run with its feeds; what it throws or rejects with is the run's failure. */
  readonly before?: (feeds: Feeds, index: number, options: RunOptions) => Promise<void> | void;
  /** Keeps the feeds in the log. */
  readonly record?: boolean;
}

/** The sums that the sessions report: the half-resolution image's Σ over the core, on every 1st, 2nd and 8th pixel. */
export const identityLayout = [0, 1, 3].map(
  (level, i) => ({ block: `level${level}`, kind: 'sum', level, offset: 3 * i, length: 3 }) as const,
);

/**
 * Sessions that restore nothing: `restored` is the image, `background` half of the image at half resolution. What comes
 * out of tiling must then be the source, pixel for pixel.
 */
export function identitySessions({ before, record = false }: IdentityOptions = {}) {
  const log: SessionLog = { opened: [], fed: [], alive: 0, running: 0, mostRunning: 0 };
  let index = 0;
  const run = async (feeds: Feeds, options: RunOptions = {}): Promise<Outputs> => {
    if (record) log.fed.push(feeds);
    log.running++;
    log.mostRunning = Math.max(log.mostRunning, log.running);
    try {
      await before?.(feeds, index++, options);
      return answer(feeds, options.outputs ?? ['restored', 'background', 'sums']);
    } finally {
      log.running--;
    }
  };
  const open = async (options: SessionOptions): Promise<Session> => {
    log.opened.push(options);
    log.alive++;
    let disposed = false;
    const dispose = async () => {
      if (!disposed) log.alive--;
      disposed = true;
    };
    return {
      backend: { provider: 'identity', threads: 1, declined: [], implementation: 'test' },
      run,
      dispose,
      [Symbol.asyncDispose]: dispose,
    };
  };
  return { open, log };
}

function answer({ image, core }: Feeds, names: readonly string[]): Outputs {
  const bytes = image!.type === 'uint8';
  const [, height = 0, width = 0] = bytes ? image!.shape : image!.shape.slice(1);
  const pixels = planes(image!);
  const half = halve(pixels, width, height);
  const background = half.map((value) => value / 2);
  const [h, w] = [height / 2, width / 2];
  const outputs: Record<string, Tensor> = {
    restored: { ...image!, data: image!.data.slice() } as Tensor,
    background: bytes
      ? { type: 'uint8', shape: [1, h, w, 3], data: interleave(background) }
      : { type: 'float32', shape: [1, 3, h, w], data: background },
    sums: { type: 'float32', shape: [1, 9], data: sums(half, w, h, core?.data) },
  };
  return Object.fromEntries(names.map((name) => [name, outputs[name]!]));
}

/** Either layout as planes in 0…1, channels first. */
export function planes({ type, shape, data }: Tensor): Float32Array {
  if (type === 'float32') return data as Float32Array;
  const channels = shape[3]!;
  const size = data.length / channels;
  return Float32Array.from(data, (_, i) => data[(i % size) * channels + Math.floor(i / size)]! / 255);
}

function interleave(planes: Float32Array): Uint8Array {
  const size = planes.length / 3;
  return Uint8Array.from(planes, (_, i) => Math.round(planes[(i % 3) * size + Math.floor(i / 3)]! * 255));
}

/** Planes at half resolution: 2×2 means. */
export function halve(planes: Float32Array, width: number, height: number): Float32Array {
  const out = new Float32Array(planes.length / 4);
  const at = (channel: number, y: number, x: number) => planes[(channel * height + y) * width + x]!;
  let to = 0;
  for (let channel = 0; channel < 3; channel++) {
    for (let y = 0; y < height; y += 2) {
      for (let x = 0; x < width; x += 2) {
        out[to++] = (at(channel, y, x) + at(channel, y, x + 1) + at(channel, y + 1, x) + at(channel, y + 1, x + 1)) / 4;
      }
    }
  }
  return out;
}

function sums(half: Float32Array, width: number, height: number, core?: ArrayLike<number>): Float32Array {
  const out = new Float32Array(9);
  for (const [slot, { level }] of identityLayout.entries()) {
    const step = 2 ** level;
    for (let channel = 0; channel < 3; channel++) {
      for (let y = 0; y < height; y += step) {
        for (let x = 0; x < width; x += step) {
          out[slot * 3 + channel]! += (core?.[y * width + x] ?? 1) * half[(channel * height + y) * width + x]!;
        }
      }
    }
  }
  return out;
}
