import { asRgb, type PixelImage } from '../../image/pixels.ts';
import type { TilePreview } from '../../tiling/preview.ts';

/** A photo with its restored self over it, parted by a handle. */
export interface Compare {
  /** To be put into the page; holds the canvas, the handle and a line for screen readers. */
  readonly root: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  /** 0…100: how much of the width still shows the photo as it was. */
  split: number;
  /** Sides of the picture; the canvas is emptied. */
  begin(width: number, height: number): void;
  /** Shows one tile. */
  draw(tile: TilePreview): void;
  /** Shows the final result, a strip at a time, so that the page stays responsive; resolves when all of it is there. */
  finish(image: PixelImage): Promise<void>;
  /** Said to screen readers, politely, and shown while `busy`. */
  say(text: string, busy?: boolean): void;
}

export const COMPARE_STYLE = `
.elfin { position: relative; display: inline-block; max-width: 100%; line-height: 0; touch-action: pan-y; }
.elfin > img, .elfin > ::slotted(img) { display: block; max-width: 100%; height: auto; }
.elfin > canvas { position: absolute; inset: 0; width: 100%; height: 100%; clip-path: inset(0 0 0 var(--split, 0%)); pointer-events: none; }
.elfin > input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: ew-resize; }
.elfin > i { position: absolute; inset: 0 auto 0 var(--split, 0%); width: 2px; margin-left: -1px; background: #fff; box-shadow: 0 0 0 1px #0006; pointer-events: none; }
.elfin > i::after { content: '⇆'; position: absolute; top: 50%; left: 50%; width: 2.25rem; height: 2.25rem; border-radius: 50%; background: #fff; color: #111; font: 1rem/2.25rem system-ui; text-align: center; transform: translate(-50%, -50%); box-shadow: 0 1px 6px #0008; }
.elfin > input:focus-visible ~ i::after { outline: 3px solid #2563eb; outline-offset: 2px; }
.elfin > input[hidden], .elfin > input[hidden] ~ i { display: none; }
.elfin > p { position: absolute; inset: auto 0.5rem 0.5rem auto; margin: 0; padding: 0.25rem 0.6rem; border-radius: 99px; background: #111d; color: #fff; font: 0.8rem/1.4 system-ui; }
.elfin > p:not([data-busy]) { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (prefers-reduced-motion: no-preference) { .elfin > canvas { animation: elfin-in 0.3s ease-out; } @keyframes elfin-in { from { opacity: 0; } } }
`;

/** The overlay around a picture; the picture itself stays the caller's and comes first in `root`. */
export function createCompare(picture: Node): Compare {
  const root = document.createElement('div');
  root.className = 'elfin';
  const canvas = document.createElement('canvas');
  // The picture below has the description; the canvas shows the same thing.
  canvas.setAttribute('aria-hidden', 'true');
  const handle = Object.assign(document.createElement('input'), { type: 'range', min: '0', max: '100', hidden: true });
  handle.setAttribute('aria-label', 'Before and after');
  const status = document.createElement('p');
  status.setAttribute('role', 'status');
  root.append(picture, canvas, handle, document.createElement('i'), status);
  const context = canvas.getContext('2d')!;

  const compare: Compare = {
    root,
    canvas,
    get split() {
      return Number(handle.value);
    },
    set split(value) {
      handle.value = String(value);
      show();
    },
    begin(width, height) {
      Object.assign(canvas, { width, height });
      handle.hidden = true;
      compare.split = 0;
    },
    draw({ x, y, width, height, data }) {
      context.putImageData(new ImageData(data, width, height), x, y);
    },
    async finish(image) {
      if (canvas.width !== image.width || canvas.height !== image.height) {
        Object.assign(canvas, { width: image.width, height: image.height });
      }
      await paintPixels(context, image);
      handle.hidden = false;
      compare.split = 50;
    },
    say(text, busy = false) {
      status.textContent = text;
      status.toggleAttribute('data-busy', busy);
    },
  };
  function show(): void {
    root.style.setProperty('--split', `${handle.value}%`);
    handle.setAttribute('aria-valuetext', `${handle.value}% of the photo as it was, the rest restored`);
  }
  handle.addEventListener('input', show);
  show();
  return compare;
}

/** Pixels as a canvas takes them. */
export function toImageData(image: PixelImage): ImageData {
  return stripOf(image, 0, image.height);
}

// Converting and drawing this many takes a few milliseconds, a fraction of a frame.
const STRIP_PIXELS = 1 << 17;

/** Draws pixels into the upper left corner in strips, between which the page gets its turn. */
export async function paintPixels(
  context: CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D,
  image: PixelImage,
): Promise<void> {
  const { width, height } = image;
  const rgb = asRgb(image);
  const rows = Math.max(1, Math.floor(STRIP_PIXELS / width));
  for (let y = 0; y < height; y += rows) {
    if (y > 0) await new Promise((resolve) => setTimeout(resolve));
    context.putImageData(stripOf(rgb, y, Math.min(rows, height - y)), 0, y);
  }
}

function stripOf({ width, channels, data }: PixelImage, top: number, rows: number): ImageData {
  const out = new ImageData(width, rows);
  // Four samples at once, in the order of every machine that browsers run on.
  const pixels = new Uint32Array(out.data.buffer);
  const shift = data instanceof Uint16Array ? 8 : 0;
  for (let from = top * width * channels, to = 0; to < pixels.length; from += channels, to++) {
    const alpha = channels === 4 ? data[from + 3]! >> shift : 255;
    pixels[to] =
      (alpha << 24) | ((data[from + 2]! >> shift) << 16) | ((data[from + 1]! >> shift) << 8) | (data[from]! >> shift);
  }
  return out;
}
