import { bitDepth, createPixels, type PixelImage, type Rect } from './pixels.ts';

/** How stored pixels lie against the upright picture: transpose first, then mirror. Indexed by EXIF orientation 1…8. */
interface Placement {
  readonly swap: boolean;
  readonly flipX: boolean;
  readonly flipY: boolean;
}

const place = (swap: boolean, flipX: boolean, flipY: boolean): Placement => ({ swap, flipX, flipY });
// For each upright pixel (x, y): stored = swap ? (y, x) : (x, y), then mirrored along the stored axes.
const PLACEMENTS: readonly Placement[] = [
  place(false, false, false),
  place(false, true, false),
  place(false, true, true),
  place(false, false, true),
  place(true, false, false),
  place(true, false, true),
  place(true, true, true),
  place(true, true, false),
];

function placement(orientation: number): Placement {
  return PLACEMENTS[orientation - 1] ?? PLACEMENTS[0]!;
}

/** Sides of the upright picture, given the stored sides and the EXIF orientation (others than 1…8 count as 1). */
export function orientedSize(width: number, height: number, orientation: number): { width: number; height: number } {
  return placement(orientation).swap ? { width: height, height: width } : { width, height };
}

/** The stored rectangle that holds `rect` of the upright picture; `width` and `height` are the stored sides. */
export function storedRect(rect: Rect, width: number, height: number, orientation: number): Rect {
  const { swap, flipX, flipY } = placement(orientation);
  const turned = swap ? { x: rect.y, y: rect.x, width: rect.height, height: rect.width } : rect;
  return {
    x: flipX ? width - turned.x - turned.width : turned.x,
    y: flipY ? height - turned.y - turned.height : turned.y,
    width: turned.width,
    height: turned.height,
  };
}

/** Stored pixels turned upright after EXIF orientation 1…8; the image itself for 1 and for unknown values. */
export function orient(image: PixelImage, orientation: number): PixelImage {
  const { swap, flipX, flipY } = placement(orientation);
  if (!swap && !flipX && !flipY) return image;
  const { channels, width, height, data } = image;
  const size = orientedSize(width, height, orientation);
  const out = createPixels(size.width, size.height, channels, bitDepth(image));
  let to = 0;
  for (let y = 0; y < size.height; y++) {
    for (let x = 0; x < size.width; x++, to += channels) {
      const [u, v] = swap ? [y, x] : [x, y];
      const from = ((flipY ? height - 1 - v : v) * width + (flipX ? width - 1 - u : u)) * channels;
      for (let c = 0; c < channels; c++) out.data[to + c] = data[from + c]!;
    }
  }
  return out;
}
