import type { Compare } from '@elfin/core/element';
import { $ } from './page.ts';

const stage = $('stage');
// Keys zoom it, and scroll it once it is larger than its place.
stage.tabIndex = 0;
let shown: { readonly compare: Compare; readonly width: number; readonly height: number } | undefined;
/** Screen pixels a picture's pixel; undefined: as large as fits. */
let scale: number | undefined;

const fitting = () => {
  const { width, height } = shown!;
  // Small pictures may grow, so that there is something to compare.
  const most = Math.max(1, Math.min(4, 320 / width));
  return Math.min(most, stage.clientWidth / width, (innerHeight * 0.72) / height);
};
/** One picture's pixel, one of the screen's. */
const actual = () => 1 / devicePixelRatio;

/** Shows a picture of these sides. */
export function show(compare: Compare, width: number, height: number): void {
  const same = shown?.width === width && shown.height === height;
  shown = { compare, width, height };
  if (!same) scale = undefined;
  stage.replaceChildren(compare.root);
  zoom(scale);
}

export function clear(text = ''): void {
  shown = undefined;
  stage.replaceChildren(text);
}

/** Zooms about a point of the stage, its middle by default; the handle comes along into what is to be seen. */
function zoom(wanted: number | undefined, x = stage.clientWidth / 2, y = stage.clientHeight / 2): void {
  if (!shown) return;
  const { compare, width } = shown;
  const before = compare.root.clientWidth || 1;
  scale = wanted === undefined ? undefined : Math.min(8, Math.max(fitting(), wanted));
  const size = width * (scale ?? fitting());
  const [left, top] = [(stage.scrollLeft + x) / before, (stage.scrollTop + y) / before];
  compare.root.style.width = `${size}px`;
  stage.scrollTo(left * size - x, top * size - y);
  stage.classList.toggle('zoomed', scale !== undefined);
  $('fit').setAttribute('aria-pressed', String(scale === undefined));
  $('actual').setAttribute('aria-pressed', String(scale === actual()));
  if (compare.split > 0 && scale !== undefined) {
    compare.split = ((stage.scrollLeft + stage.clientWidth / 2) / size) * 100;
  }
}

const by = (factor: number, x?: number, y?: number) => zoom((scale ?? fitting()) * factor, x, y);

/** Pulled with the mouse; fingers scroll by themselves. */
function pull(event: PointerEvent): void {
  if (event.pointerType !== 'mouse' || event.target instanceof HTMLInputElement || scale === undefined) return;
  stage.setPointerCapture(event.pointerId);
  const move = ({ movementX, movementY }: PointerEvent) => stage.scrollBy(-movementX, -movementY);
  stage.addEventListener('pointermove', move);
  stage.addEventListener('pointerup', () => stage.removeEventListener('pointermove', move), { once: true });
}

$('closer').addEventListener('click', () => by(1.5));
$('farther').addEventListener('click', () => by(1 / 1.5));
$('fit').addEventListener('click', () => zoom(undefined));
$('actual').addEventListener('click', () => zoom(actual()));
stage.addEventListener('pointerdown', pull);
stage.addEventListener('dblclick', ({ offsetX, offsetY }) =>
  scale === undefined ? zoom(actual(), offsetX, offsetY) : zoom(undefined),
);
stage.addEventListener(
  'wheel',
  (event) => {
    // Also what a trackpad's pinch comes as.
    if (!event.ctrlKey) return;
    event.preventDefault();
    const { left, top } = stage.getBoundingClientRect();
    by(Math.exp(-event.deltaY / 200), event.clientX - left, event.clientY - top);
  },
  { passive: false },
);
stage.addEventListener('keydown', ({ key, target }) => {
  if (target !== stage) return;
  if (key === '+' || key === '=') by(1.5);
  else if (key === '-') by(1 / 1.5);
  else if (key === '0') zoom(undefined);
  else if (key === '1') zoom(actual());
});
addEventListener('resize', () => zoom(scale));
