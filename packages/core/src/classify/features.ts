import { asRgb, type PixelImage } from '../image/pixels.ts';

/** Longest side that is measured; larger images are averaged down by a whole factor first. */
const LONG_SIDE = 512;
/** Detail is judged in blocks of this side: rain covers all of them, a photo's own texture does not. */
const BLOCK = 16;

type Plane = { readonly width: number; readonly height: number; readonly data: Float64Array };

/**
 * The classifier's measurements, in the order of `FEATURES`. Computed as `training/classify.py` does: block means, sums
 * and histograms only, so that both agree.
 * @param image sides of at least 48; 8 or 16 bits; alpha ignored
 */
export function measureFeatures(image: PixelImage): number[] {
  const [r, g, b] = shrink(image);
  const luma = combine(r, g, b, (x, y, z) => 0.299 * x + 0.587 * y + 0.114 * z);
  const low = combine(r, g, b, Math.min);
  const [rg, yb] = [combine(r, g, b, (x, y) => x - y), combine(r, g, b, (x, y, z) => (x + y) / 2 - z)];
  const total = mean(r.data) + mean(g.data) + mean(b.data) + 1e-6;
  return [
    mean(luma.data),
    ...[0.1, 0.5, 0.9, 0.98].map((q) => quantile(luma.data, q)),
    deviation(luma.data),
    mean(luma.data, (v) => (v < 0.1 ? 1 : 0)),
    mean(r.data) / total,
    mean(b.data) / total,
    ...[r, g, b].map(({ data }) => quantile(data, 0.98)),
    mean(combine(r, g, b, (x, y, z) => (Math.max(x, y, z) - Math.min(x, y, z)) / (Math.max(x, y, z) + 1e-3)).data),
    mean(combine(r, g, b, (x, y, z) => (x < Math.min(y, z) - 0.04 ? 1 : 0)).data),
    mean(rg.data),
    mean(yb.data),
    deviation(rg.data),
    deviation(yb.data),
    mean(low.data),
    ...detailFeatures(luma, rg),
  ];
}

/** What fine detail is like: rain is bright, thin, achromatic, of one direction, and everywhere. */
function detailFeatures(luma: Plane, rg: Plane): number[] {
  const detail = highPass(luma);
  const inner = (dx: number, dy: number) => {
    const data = new Float64Array(detail.data.length);
    for (let y = 0; y < detail.height; y++)
      for (let x = 0; x < detail.width; x++) {
        const at = (y + 2) * luma.width + x + 2;
        data[y * detail.width + x] = luma.data[at + dy * luma.width + dx]! - luma.data[at - dy * luma.width - dx]!;
      }
    return data;
  };
  const [gx, gy] = [inner(1, 0), inner(0, 1)];
  const blocks = (value: (i: number) => number) => blockMeans(detail, value);
  const d = detail.data;
  const power = blocks((i) => d[i]! ** 2);
  const cube = blocks((i) => d[i]! ** 3);
  const [jxx, jyy, jxy] = [blocks((i) => gx[i]! ** 2), blocks((i) => gy[i]! ** 2), blocks((i) => gx[i]! * gy[i]!)];
  // The structure tensor's orientation as a doubled angle, as long as it is sure.
  const vx = jxx.map((xx, i) => (xx - jyy[i]!) / (xx + jyy[i]! + 1e-6));
  const vy = jxx.map((xx, i) => (2 * jxy[i]!) / (xx + jyy[i]! + 1e-6));
  const limit = middle(power, 0.4);
  const quiet = (values: Float64Array) => mean(values.filter((_, i) => power[i]! <= limit));

  const m2 = mean(d, (v) => v * v);
  const bright = mean(d, (v) => Math.max(v, 0) ** 2);
  const dark = mean(d, (v) => Math.min(v, 0) ** 2);
  const [p10, p50, p90] = [0.1, 0.5, 0.9].map((q) => middle(power.map(Math.sqrt), q)) as [number, number, number];
  return [
    held(mean(d, (v) => v ** 3) / (m2 ** 1.5 + 1e-9)),
    Math.log(mean(d, (v) => v ** 4) / (m2 * m2 + 1e-12) + 1e-3),
    Math.log(p10 + 1e-3),
    Math.log(p50 + 1e-3),
    Math.log(p90 + 1e-3),
    p10 / (p50 + 1e-3),
    Math.hypot(mean(vx), mean(vy)),
    Math.hypot(quiet(vx), quiet(vy)),
    quiet(vx),
    mean(vx.map((v, i) => Math.hypot(v, vy[i]!))),
    held(quiet(cube) / (quiet(power) ** 1.5 + 1e-9)),
    Math.sqrt(mean(highPass(rg).data, (v) => v * v) / (m2 + 1e-9)),
    Math.log((bright + 1e-9) / (dark + 1e-9)),
  ];
}

/** Three planes in 0…1, averaged over k×k samples. */
function shrink(thumbnail: PixelImage): [Plane, Plane, Plane] {
  const { width, height, channels, data } = asRgb(thumbnail);
  const k = Math.ceil(Math.max(width, height) / LONG_SIDE);
  const [w, h] = [Math.floor(width / k), Math.floor(height / k)];
  const scale = 1 / (k * k * (data instanceof Uint16Array ? 65535 : 255));
  const plane = (channel: number): Plane => {
    const out = new Float64Array(w * h);
    for (let y = 0; y < h * k; y++)
      for (let x = 0; x < w * k; x++)
        out[Math.floor(y / k) * w + Math.floor(x / k)]! += data[(y * width + x) * channels + channel]!;
    return { width: w, height: h, data: out.map((sum) => sum * scale) };
  };
  return [plane(0), plane(1), plane(2)];
}

function combine(a: Plane, b: Plane, c: Plane, f: (x: number, y: number, z: number) => number): Plane {
  return { ...a, data: a.data.map((x, i) => f(x, b.data[i]!, c.data[i]!)) };
}

/** A plane less its 5×5 means, where the 5×5 lies inside. */
function highPass({ width, height, data }: Plane): Plane {
  const [w, h] = [width - 4, height - 4];
  const sums = new Float64Array((width + 1) * (height + 1));
  for (let y = 0; y < height; y++) {
    let row = 0;
    for (let x = 0; x < width; x++) {
      row += data[y * width + x]!;
      sums[(y + 1) * (width + 1) + x + 1] = sums[y * (width + 1) + x + 1]! + row;
    }
  }
  const out = new Float64Array(w * h);
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++) {
      const [top, bottom] = [y * (width + 1) + x, (y + 5) * (width + 1) + x];
      const box = sums[bottom + 5]! - sums[top + 5]! - sums[bottom]! + sums[top]!;
      out[y * w + x] = data[(y + 2) * width + x + 2]! - box / 25;
    }
  return { width: w, height: h, data: out };
}

function blockMeans({ width, height }: Plane, value: (i: number) => number): Float64Array {
  const [columns, rows] = [Math.floor(width / BLOCK), Math.floor(height / BLOCK)];
  const out = new Float64Array(columns * rows);
  for (let y = 0; y < rows * BLOCK; y++)
    for (let x = 0; x < columns * BLOCK; x++)
      out[Math.floor(y / BLOCK) * columns + Math.floor(x / BLOCK)]! += value(y * width + x);
  return out.map((sum) => sum / (BLOCK * BLOCK));
}

function mean(values: Float64Array, f: (v: number) => number = (v) => v): number {
  let sum = 0;
  for (const v of values) sum += f(v);
  return sum / values.length;
}

function deviation(values: Float64Array): number {
  return Math.sqrt(Math.max(mean(values, (v) => v * v) - mean(values) ** 2, 0));
}

/** The first of 256 bins over 0…1 at which the share `q` is reached. */
function quantile(values: Float64Array, q: number): number {
  const bins = new Float64Array(256);
  for (const v of values) bins[Math.max(0, Math.min(255, Math.floor(v * 255 + 0.5)))]! += 1;
  const enough = q * values.length;
  let sum = 0;
  const first = bins.findIndex((count) => {
    sum += count;
    return sum >= enough;
  });
  return first / 255;
}

function middle(values: Float64Array, q: number): number {
  return Float64Array.from(values).sort()[Math.floor(q * (values.length - 1))]!;
}

function held(value: number): number {
  return Math.max(-6, Math.min(6, value));
}
