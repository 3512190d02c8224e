/** `@elfin/core/web`: for pages. The heavy half is in `web-worker.js`, which this starts. */

export { ElfinError, type ElfinErrorCode, isElfinError } from '../base/errors.ts';
export { createModelRef } from '../checkpoint/model-ref.ts';
export type { PixelImage } from '../image/pixels.ts';
export { parseManifest } from '../model/manifest.ts';
export type { Download, LoadOptions, ModelRef, ModelSize, Models, Task } from '../model/models.ts';
export { TASKS } from '../model/models.ts';
export type { Classification, Classify, RestoreOptions } from '../restore/options.ts';
export type { RestoredReport, RestoreReport, UntouchedReport } from '../restore/report.ts';
export type { Restored, WarmupOptions } from '../restorer.ts';
export type { Backend } from '../runtime/runtime.ts';
export type { Progress, TilePreview } from '../tiling/run.ts';
export { CACHE, type FetchOptions, fetchFile } from '../web/page/fetch.ts';
export type { WebInput, WebPicture } from '../web/page/input.ts';
export { type FetchedModelsOptions, fetchModels } from '../web/page/models.ts';
export {
  createRestorer,
  type PreloadOptions,
  type PreloadProgress,
  type WebRestorer,
  type WebRestorerOptions,
} from '../web/page/restorer.ts';
export { type BlobOptions, streamTiles, type WebRestored } from '../web/page/result.ts';
