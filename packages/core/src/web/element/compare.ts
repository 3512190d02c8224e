import type { PixelImage } from '../../image/pixels.ts';
import type { TilePreview } from '../../tiling/preview.ts';
import { paintPixels } from '../page/paint.ts';

/** A photo with its restored self over it, parted by a handle. */
export interface Compare {
  /** To be put into the page; holds the canvas, the handle, a line for the eye and one for screen readers. */
  readonly root: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  /** 0…100: how much of the width still shows the photo as it was. */
  split: number;
  /** Whether a handle parts the two once all is there; without it the restored photo covers the other. */
  handle: boolean;
  /** Sides of the picture; the canvas is emptied, the handle goes. */
  begin(width: number, height: number): void;
  /** Shows one tile. */
  draw(tile: TilePreview): void;
  /** Shows the final result, a strip at a time, so that the page stays responsive; resolves when all of it is there. */
  finish(image: PixelImage): Promise<void>;
  /** Shown in a corner while work goes on, not said: nobody wants to hear every percent. */
  busy(text: string): void;
  /** Said to screen readers, politely; nothing is shown any more. */
  say(text: string): void;
  /** Shown and said, until the next `begin`: why there is no result. */
  fail(text: string): void;
}

export interface CompareOptions {
  /** See {@link Compare.handle}; true by default. */
  readonly handle?: boolean | undefined;
}

/**
 * The overlay for a picture. `picture` is put below it into `root`; without one, `root` is put over something that stands elsewhere.
 * Its style is `COMPARE_STYLE`, which `adoptCompareStyle` brings into a document.
 */
export function createCompare(picture?: Node, options: CompareOptions = {}): Compare {
  const { root, canvas, slider, note, spoken } = build(picture);
  const context = canvas.getContext('2d')!;
  let wanted = options.handle ?? true;
  let finished = false;
  const place = (value: number) => {
    slider.value = String(value);
    root.style.setProperty('--split', `${slider.value}%`);
    slider.setAttribute('aria-valuetext', `${slider.value}% of the photo as it was, the rest restored`);
  };
  const show = (split: number) => {
    slider.hidden = !(wanted && finished);
    place(slider.hidden ? 0 : split);
  };
  const shown = (text: string, mark: string) => {
    note.textContent = note.title = text;
    note.style.setProperty('--mark', `"${mark}"`);
  };
  slider.addEventListener('input', () => place(Number(slider.value)));
  show(0);
  return {
    root,
    canvas,
    get split() {
      return Number(slider.value);
    },
    set split(value) {
      place(value);
    },
    get handle() {
      return wanted;
    },
    set handle(value) {
      wanted = value;
      show(50);
    },
    begin(width, height) {
      Object.assign(canvas, { width, height });
      finished = false;
      shown('', '');
      spoken.textContent = '';
      show(0);
    },
    draw({ x, y, width, height, data }) {
      context.putImageData(new ImageData(data, width, height), x, y);
    },
    async finish(image) {
      if (canvas.width !== image.width || canvas.height !== image.height) {
        Object.assign(canvas, { width: image.width, height: image.height });
      }
      await paintPixels(context, image);
      finished = true;
      show(50);
    },
    busy: (text) => shown(text, '…'),
    say(text) {
      shown('', '');
      spoken.textContent = text;
    },
    fail(text) {
      shown(text, '!');
      spoken.textContent = text;
    },
  };
}

function build(picture: Node | undefined) {
  const root = document.createElement('div');
  root.className = 'elfin';
  const canvas = document.createElement('canvas');
  // The picture below has the description; the canvas shows the same thing.
  canvas.setAttribute('aria-hidden', 'true');
  const slider = Object.assign(document.createElement('input'), { type: 'range', min: '0', max: '100', hidden: true });
  slider.setAttribute('aria-label', 'Before and after');
  const divider = document.createElement('i');
  const corner = document.createElement('div');
  // What it says is said by the line below, where it is worth hearing.
  corner.setAttribute('aria-hidden', 'true');
  const note = document.createElement('p');
  corner.append(note);
  const spoken = document.createElement('span');
  spoken.setAttribute('role', 'status');
  const parts = { canvas, handle: slider, divider, status: note };
  for (const [name, part] of Object.entries(parts)) part.setAttribute('part', name);
  root.append(...(picture ? [picture] : []), canvas, slider, divider, corner, spoken);
  return { root, canvas, slider, note, spoken };
}
