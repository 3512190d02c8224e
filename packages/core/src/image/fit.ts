import type { Codec } from './codec.ts';
import { bitDepth, createPixels, hasAlpha, type PixelImage, type Rect } from './pixels.ts';

/** How an image meets the sides asked for; the names are Cloudflare Images'. */
export type FitMode = 'scale-down' | 'contain' | 'cover' | 'crop' | 'pad';

/** Sides that are asked for, and what happens where the aspect ratio differs. */
export interface FitOptions {
  /** Device pixels. With one side the other follows the aspect ratio; with none the image stays as it is. */
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  /** Default `scale-down`. */
  readonly fit?: FitMode | undefined;
}

/** Geometry of one fit: resample to `scale`, then cut `crop` out of it, or lay it at `pad` on a larger canvas. */
export interface FitPlan {
  readonly width: number;
  readonly height: number;
  readonly scale: { readonly width: number; readonly height: number };
  readonly crop?: Rect;
  readonly pad?: { readonly x: number; readonly y: number };
}

const side = (value: number) => Math.max(1, Math.round(value));

/**
 * Plans a fit. `scale-down`: inside, never enlarged. `contain`: inside. `cover`: filled, the overhang cut evenly.
 * `crop`: as `cover`, never enlarged. `pad`: inside, on a canvas of exactly the sides asked for.
 */
export function planFit(image: { readonly width: number; readonly height: number }, options: FitOptions): FitPlan {
  const { fit = 'scale-down' } = options;
  const { width, height } = image;
  const across = options.width === undefined ? undefined : options.width / width;
  const down = options.height === undefined ? undefined : options.height / height;
  if (across === undefined || down === undefined) {
    const asked = across ?? down ?? 1;
    const ratio = fit === 'scale-down' || fit === 'crop' ? Math.min(1, asked) : asked;
    // The side asked for comes out exactly, whatever the division rounds to.
    const exact = ratio === asked;
    const scale = {
      width: exact && options.width !== undefined ? options.width : side(width * ratio),
      height: exact && options.height !== undefined ? options.height : side(height * ratio),
    };
    return { ...scale, scale };
  }
  const wanted = { width: options.width as number, height: options.height as number };
  if (fit === 'cover' || fit === 'crop') {
    const ratio = fit === 'crop' ? Math.min(1, Math.max(across, down)) : Math.max(across, down);
    const scale = { width: side(width * ratio), height: side(height * ratio) };
    const cut = { width: Math.min(wanted.width, scale.width), height: Math.min(wanted.height, scale.height) };
    const crop = {
      x: Math.floor((scale.width - cut.width) / 2),
      y: Math.floor((scale.height - cut.height) / 2),
      ...cut,
    };
    return { ...cut, scale, crop };
  }
  const inside = Math.min(across, down);
  const ratio = fit === 'scale-down' ? Math.min(1, inside) : inside;
  const scale = {
    width: Math.min(wanted.width, side(width * ratio)),
    height: Math.min(wanted.height, side(height * ratio)),
  };
  if (fit !== 'pad') return { ...scale, scale };
  const pad = {
    x: Math.floor((wanted.width - scale.width) / 2),
    y: Math.floor((wanted.height - scale.height) / 2),
  };
  return { ...wanted, scale, pad };
}

/** Copies `from` (all of it, or a rectangle) to (x, y) of `to`; both have the same channels and depth. */
function blit(from: PixelImage, rect: Rect, to: PixelImage, x: number, y: number): void {
  const { channels } = from;
  for (let row = 0; row < rect.height; row++) {
    const begin = ((rect.y + row) * from.width + rect.x) * channels;
    to.data.set(from.data.subarray(begin, begin + rect.width * channels), ((y + row) * to.width + x) * channels);
  }
}

/** Carries a plan out. What `pad` adds is white, or transparent where the image has alpha. */
export async function applyFit(image: PixelImage, plan: FitPlan, codec: Pick<Codec, 'resize'>): Promise<PixelImage> {
  const { scale, crop, pad } = plan;
  const same = scale.width === image.width && scale.height === image.height;
  const scaled = same ? image : await codec.resize(image, scale);
  const whole = { x: 0, y: 0, ...scale };
  if (plan.width === scale.width && plan.height === scale.height) return scaled;
  const depth = bitDepth(scaled);
  const out = createPixels(plan.width, plan.height, scaled.channels, depth);
  if (crop) blit(scaled, crop, out, 0, 0);
  else {
    if (!hasAlpha(scaled)) out.data.fill(depth === 16 ? 65535 : 255);
    blit(scaled, whole, out, pad?.x ?? 0, pad?.y ?? 0);
  }
  return out;
}
