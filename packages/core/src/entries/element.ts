/** `@elfin/core/element`: `<elfin-image>`, and pictures of a page restored in place. */

export { type Compare, type CompareOptions, createCompare } from '../web/element/compare.ts';
export { defineElfinImage, ElfinImageElement } from '../web/element/elfin-image.ts';
export type { ElfinImageEventMap, ElfinImageState } from '../web/element/events.ts';
export { type RestoredElement, type RestoreElementOptions, restoreElement } from '../web/element/restore-element.ts';
export { adoptCompareStyle, COMPARE_STYLE } from '../web/element/style.ts';
export { paintPixels, toImageData } from '../web/page/paint.ts';
