export { createCanvasCodec } from './image/codecs/canvas.ts';
export { createJsquashCodec, type JsquashModules, type JsquashOptions } from './image/codecs/jsquash.ts';
export * from './index.ts';
export { createWebRuntime, type WebRuntimeOptions } from './runtime/web.ts';
