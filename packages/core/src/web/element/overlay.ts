import type { Compare } from './compare.ts';
import { COMPARE_STYLE, sheetOf } from './style.ts';

/** What decides where in its box a picture's pixels are; a canvas with the same values shows them in the same place. */
const FITTING = ['object-fit', 'object-position', 'border-radius', 'border-width', 'padding'] as const;

/**
 * An element that has no size, is not seen by the page's layout, and holds `view` over `picture`, wherever that is and goes. It is
 * meant to be put into `parent`.
 */
export function coverPicture(picture: HTMLImageElement, view: Compare, parent: Element | null = picture.parentElement) {
  const anchor = document.createElement('elfin-overlay');
  // An inline box without content takes no room; only where every child is an item of its own would it count as one.
  const outOfFlow = /flex|grid/.test(displayAround(parent));
  anchor.style.cssText = `all: initial; position: ${outOfFlow ? 'absolute' : 'relative'}; font-size: 0; line-height: 0;`;
  const shadow = anchor.attachShadow({ mode: 'open' });
  shadow.adoptedStyleSheets = [sheetOf(COMPARE_STYLE)];
  shadow.append(view.root);
  Object.assign(view.root.style, { position: 'absolute', pointerEvents: 'none', fontSize: '16px' });
  Object.assign(view.canvas.style, { border: 'solid transparent', boxSizing: 'border-box' });
  return { anchor, follow: () => keepOver(picture, anchor, view) };
}

function displayAround(parent: Element | null): string {
  if (!parent) return '';
  const { display } = getComputedStyle(parent);
  return display === 'contents' ? displayAround(parent.parentElement) : display;
}

/** Keeps `view` where `picture` is until the function that it gives back is called. */
function keepOver(picture: HTMLImageElement, anchor: HTMLElement, { root, canvas }: Compare): () => void {
  let due = 0;
  const measure = () => {
    due = 0;
    const style = getComputedStyle(picture);
    const [box, from] = [picture.getBoundingClientRect(), anchor.getBoundingClientRect()];
    // Rectangles are measured behind transforms, lengths are set before them.
    const scale = box.width / picture.offsetWidth || 1;
    root.hidden = box.width === 0;
    root.style.left = `${(box.left - from.left) / scale}px`;
    root.style.top = `${(box.top - from.top) / scale}px`;
    root.style.width = `${box.width / scale}px`;
    root.style.height = `${box.height / scale}px`;
    root.style.zIndex = style.zIndex;
    for (const name of FITTING) canvas.style.setProperty(name, style.getPropertyValue(name));
  };
  const soon = () => {
    due ||= requestAnimationFrame(measure);
  };
  const observer = new ResizeObserver(soon);
  observer.observe(picture);
  // A centred picture moves when only what is around it changes.
  if (picture.parentElement) observer.observe(picture.parentElement);
  picture.addEventListener('load', soon);
  addEventListener('resize', soon);
  if (anchor.style.position === 'absolute') addEventListener('scroll', soon, { capture: true, passive: true });
  measure();
  return () => {
    cancelAnimationFrame(due);
    observer.disconnect();
    picture.removeEventListener('load', soon);
    removeEventListener('resize', soon);
    removeEventListener('scroll', soon, { capture: true });
  };
}

/**
 * Puts the anchor beside the picture where the page's layout does not notice: rules such as `img + p` or `:last-child` may count
 * it. Where both sides are noticed it goes to the end of the page.
 */
export function placeUnnoticed(picture: HTMLImageElement, anchor: HTMLElement): void {
  const before = layoutAround(picture);
  for (const put of [() => picture.after(anchor), () => picture.before(anchor)]) {
    put();
    if (layoutAround(picture, anchor) === before) return;
  }
  anchor.style.position = 'absolute';
  picture.ownerDocument.body.append(anchor);
}

function layoutAround(picture: HTMLImageElement, except?: Element): string {
  const parent = picture.parentElement;
  const around = [...(parent?.children ?? [picture]), parent, parent?.nextElementSibling, parent?.parentElement];
  return around
    .filter((element) => element && element !== except)
    .map((element) => Object.values((element!.getBoundingClientRect() as DOMRect).toJSON()).join())
    .join(' ');
}
