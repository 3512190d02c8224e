export { joinBytes } from './base/bytes.ts';
export { checkInteger, checkNames, closestName, type IntegerRange, invalidOption } from './base/check.ts';
export * from './base/errors.ts';
export { sha256 } from './base/sha256.ts';
export type * from './base/tensor.ts';
export { elements } from './base/tensor.ts';
export { createModelRef } from './checkpoint/model-ref.ts';
export type { ExplainedClassification } from './classify/classify.ts';
export { CLASSIFY_LEAST_SIDE, classify } from './classify/classify.ts';
export * from './graph/summary.ts';
export type * from './image/codec.ts';
export { DEFAULT_LIMITS, DEFAULT_QUALITY } from './image/codec.ts';
export * from './image/fit.ts';
export { cutMetadata } from './image/metadata/cut.ts';
export type * from './image/pixels.ts';
export { probeImage } from './image/probe.ts';
export type { OutputName } from './model/build.ts';
export { SIDE_MULTIPLE } from './model/build.ts';
export type * from './model/describe.ts';
export { describeElf } from './model/describe.ts';
export type { ElfConfig } from './model/elf.ts';
export type * from './model/emit.ts';
export { emitElf } from './model/emit.ts';
export type { Lowering, Target } from './model/lowering.ts';
export { LOWERINGS } from './model/lowering.ts';
export type * from './model/manifest.ts';
export { modelName, modelSize, PRESETS, parseManifest, parseModelName, VARIANT } from './model/manifest.ts';
export type * from './model/models.ts';
export { TASKS } from './model/models.ts';
export type { ElfChoice } from './model/presets.ts';
export { CONFIGS } from './model/presets.ts';
export type { StatisticSlot } from './model/statistics.ts';
export {
  expectedText,
  type GivenOptions,
  type OptionRow,
  readOption,
  type Surface,
  type ValueOf,
  type ValueSpec,
  writeOption,
} from './options/row.ts';
export * from './options/table.ts';
export { readBounded } from './protocol/read-bounded.ts';
export * from './protocol/retry-after.ts';
export * from './protocol/status.ts';
export type { Residual } from './residual/residual.ts';
export {
  type ApplyOptions,
  decodeInference,
  encodeInference,
  type Inference,
  type InferOptions,
} from './restore/inference.ts';
export type { EncodedInput } from './restore/input.ts';
export * from './restore/options.ts';
export type * from './restore/report.ts';
export * from './restore/result-key.ts';
export type { WorkingSize } from './restore/working-size.ts';
export { chooseWorkingSize } from './restore/working-size.ts';
export type { Restored, RestoreInput, Restorer, RestorerOptions, WarmupOptions } from './restorer.ts';
export { createRestorer } from './restorer.ts';
export type * from './runtime/runtime.ts';
export {
  type AcquireOptions,
  createSessionPool,
  type SessionPool,
  type SessionPoolOptions,
} from './runtime/session-pool.ts';
export type { Plan, TilingMode, TilingOptions } from './tiling/plan.ts';
export { TILING_MODES } from './tiling/plan.ts';
export type { Phase, Progress, TilePreview } from './tiling/run.ts';
