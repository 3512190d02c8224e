import type { PixelImage } from '@elfin/core';

/** A small seeded generator (mulberry32): the same seed makes the same rain everywhere. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface RainOptions {
  readonly seed: number;
  /** Streaks a megapixel, over all layers. */
  readonly density?: number;
  /** Streaks are this many times as long and as wide: 1 for photos of half a megapixel. */
  readonly size?: number;
}

/**
 * Heavy rain over a clean photo: five layers of bright streaks, each with its own angle, length and width, added to the
 * photo under a light veil. A stand-in for Rain100H's kind of rain, made for comparing ways of tiling, not networks.
 */
export function addRain(photo: PixelImage, { seed, density = 5000, size = 1 }: RainOptions): PixelImage {
  const { width, height, channels, data } = photo;
  const random = createRandom(seed);
  const layer = new Float32Array(width * height);
  const slant = (random() - 0.5) * 1.2;
  for (let i = 0; i < 5; i++) {
    const angle = slant + (random() - 0.5) * 0.25;
    const length = size * (14 + 50 * random());
    const thickness = size * (0.7 + 0.9 * random());
    const count = Math.round((density * width * height) / 5e6 / size ** 2);
    for (let k = 0; k < count; k++) {
      const x = random() * width;
      const y = (random() * 1.2 - 0.1) * height;
      const strength = 0.15 + 0.4 * random();
      drawStreak(layer, width, height, { x, y, angle, length: length * (0.6 + 0.8 * random()), thickness, strength });
    }
  }
  const veil = 0.04 + 0.06 * random();
  const out = data.slice();
  for (let i = 0; i < layer.length; i++) {
    const rain = Math.min(0.85, layer[i]!);
    for (let c = 0; c < 3; c++) {
      const value = (data[i * channels + c]! / 255) * (1 - veil) + veil * 0.75;
      out[i * channels + c] = Math.round(255 * Math.min(1, value + rain * (1.05 - 0.5 * value)));
    }
  }
  return { width, height, channels, data: out };
}

interface Streak {
  readonly x: number;
  readonly y: number;
  readonly angle: number;
  readonly length: number;
  readonly thickness: number;
  readonly strength: number;
}

/** A soft line: Gaussian across, fading towards its ends. */
function drawStreak(layer: Float32Array, width: number, height: number, streak: Streak): void {
  const { x, y, angle, length, thickness, strength } = streak;
  const [dx, dy] = [Math.sin(angle), Math.cos(angle)];
  const reach = Math.ceil(2.5 * thickness);
  const top = Math.max(0, Math.floor(y - (Math.abs(dy) * length) / 2 - reach));
  const bottom = Math.min(height - 1, Math.ceil(y + (Math.abs(dy) * length) / 2 + reach));
  for (let row = top; row <= bottom; row++) {
    const centre = x + ((row - y) * dx) / dy;
    const left = Math.max(0, Math.floor(centre - reach * 1.5));
    const right = Math.min(width - 1, Math.ceil(centre + reach * 1.5));
    for (let column = left; column <= right; column++) {
      const along = (column - x) * dx + (row - y) * dy;
      const across = (column - x) * dy - (row - y) * dx;
      const fade = 1 - (2 * along) ** 2 / length ** 2;
      if (fade > 0) layer[row * width + column]! += strength * fade * Math.exp(-0.5 * (across / thickness) ** 2);
    }
  }
}
