/** `@elfin/core/element`: `<elfin-image>`, and pictures of a page restored in place. */
export * from '../web/page/restore-element.ts';
