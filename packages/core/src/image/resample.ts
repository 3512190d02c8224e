import { bitDepth, type Channels, createPixels, type PixelImage } from './pixels.ts';

/** For one output sample: the first input sample and the weights (summing to 1) from there on. */
export interface Taps {
  readonly start: number;
  readonly weights: Float32Array;
}

/**
 * Resizes to exactly `width` × `height` by Lanczos: separable, anti-aliased when shrinking, colour weighted by alpha so that
 * transparent pixels never bleed. Works for 8 and 16 bits, everywhere; codecs bring faster ways where they have one.
 * Edges are handled by renormalising the weights over the samples that exist.
 */
export function resample(image: PixelImage, width: number, height: number): PixelImage {
  if (width === image.width && height === image.height) return image;
  const { channels, data } = image;
  const out = createPixels(width, height, channels, bitDepth(image));
  const full = bitDepth(image) === 16 ? 65535 : 255;
  const across = lanczosTaps(image.width, width);
  const down = lanczosTaps(image.height, height);
  // Rows resized along x, kept only while some output row still needs them: memory is a band, not the image.
  const rows = new Map<number, Float32Array>();
  const line = new Float32Array(width * channels);
  let oldest = 0;
  for (let y = 0; y < height; y++) {
    const { start, weights } = down[y]!;
    for (; oldest < start; oldest++) rows.delete(oldest);
    line.fill(0);
    for (let k = 0; k < weights.length; k++) {
      let row = rows.get(start + k);
      if (!row) {
        row = resampleRow(data, (start + k) * image.width * channels, across, channels, full);
        rows.set(start + k, row);
      }
      const weight = weights[k]!;
      for (let i = 0; i < line.length; i++) line[i] = line[i]! + weight * row[i]!;
    }
    store(line, out.data, y * width * channels, channels, full);
  }
  return out;
}

function resampleRow(data: PixelImage['data'], offset: number, across: Taps[], channels: Channels, full: number) {
  const row = new Float32Array(across.length * channels);
  const alphaAt = channels % 2 === 0 ? channels - 1 : undefined;
  const colours = alphaAt ?? channels;
  let to = 0;
  for (const { start, weights } of across) {
    let from = offset + start * channels;
    for (let k = 0; k < weights.length; k++, from += channels) {
      const weight = weights[k]! * (alphaAt === undefined ? 1 : data[from + alphaAt]! / full);
      for (let c = 0; c < colours; c++) row[to + c]! += weight * data[from + c]!;
      if (alphaAt !== undefined) row[to + alphaAt]! += weight;
    }
    to += channels;
  }
  return row;
}

function store(line: Float32Array, out: PixelImage['data'], offset: number, channels: Channels, full: number): void {
  const clamp = (value: number) => Math.round(Math.min(full, Math.max(0, value)));
  const alphaAt = channels % 2 === 0 ? channels - 1 : undefined;
  const colours = alphaAt ?? channels;
  for (let i = 0; i < line.length; i += channels) {
    const alpha = alphaAt === undefined ? 1 : line[i + alphaAt]!;
    const unweight = alpha > 0 ? 1 / alpha : 0;
    for (let c = 0; c < colours; c++) out[offset + i + c] = clamp(line[i + c]! * unweight);
    if (alphaAt !== undefined) out[offset + i + alphaAt] = clamp(alpha * full);
  }
}

/** What each of `to` samples takes from `from` of them: Lanczos 3, anti-aliased when shrinking. */
export function lanczosTaps(from: number, to: number): Taps[] {
  const ratio = from / to;
  const scale = Math.max(1, ratio);
  const radius = 3 * scale;
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * ratio;
    const start = Math.max(0, Math.floor(centre - radius));
    const end = Math.min(from, Math.ceil(centre + radius));
    const weights = new Float32Array(end - start);
    let total = 0;
    for (let k = 0; k < weights.length; k++) {
      weights[k] = lanczos((start + k + 0.5 - centre) / scale);
      total += weights[k]!;
    }
    return { start, weights: weights.map((weight) => weight / total) };
  });
}

function lanczos(x: number): number {
  if (x === 0) return 1;
  if (Math.abs(x) >= 3) return 0;
  const angle = Math.PI * x;
  return (3 * Math.sin(angle) * Math.sin(angle / 3)) / (angle * angle);
}
