// What the rows do with their page.
import type { ElfinImageElement } from '@elfin/core/element';

export const stage = () => document.querySelector('main')!;
/** Fills the page, with a rule of its own, and gives back what has the id `it`. */
export function put<E extends HTMLElement = ElfinImageElement>(html: string, rules = ''): E {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(rules);
  document.adoptedStyleSheets = [sheet];
  stage().innerHTML = html;
  return stage().querySelector<E>('#it')!;
}
export const event = (target: EventTarget, type: string) =>
  new Promise<Event>((resolve) => target.addEventListener(type, resolve, { once: true }));
export const settled = async (element: ElfinImageElement) => {
  await frame();
  while (!element.complete) await event(element, 'elfin-statechange');
};
export const loadedOf = (element: HTMLElement) =>
  'complete' in element && (element as HTMLImageElement).naturalWidth > 0 ? undefined : event(element, 'load');
export const frame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
export const box = (element: Element) => {
  const { x, y, width, height } = element.getBoundingClientRect();
  return [x, y, width, height].map((value) => Math.round(value * 4) / 4);
};
export const canvasOf = (element: ElfinImageElement) =>
  (element.shadowRoot!.querySelector('elfin-overlay')?.shadowRoot ?? element.shadowRoot!).querySelector('canvas')!;
/** The mean colour of what a canvas or a picture shows. */
export function meanOf(source: CanvasImageSource): number[] {
  const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d')!;
  context.drawImage(source, 0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data];
}
export const near = (one: number[], other: number[]) => one.every((value, i) => Math.abs(value - other[i]!) < 40);
