export type {
  Backend,
  Made,
  RestoredFacts,
  RestoredPicture,
  Work,
  WorkContext,
} from './backends/backend.ts';
export { createLocalBackend, type LocalBackendOptions, type PixelRestorer } from './backends/local.ts';
export { createTileBackend, SPREAD_PIXELS, type TileBackendOptions } from './backends/tiles.ts';
export { createWorkerBackend, type WorkerBackendOptions } from './backends/whole-image.ts';
export { createEdge, DEFAULT_CAPS, type Edge, type EdgeOptions } from './http/edge.ts';
export { type Problem, statusOf } from './http/errors.ts';
export type { Background, QueueMessage } from './http/handover.ts';
export type { CacheState, ResultInfo } from './http/headers.ts';
export type { AccessEntry } from './http/log.ts';
export {
  type AnalyticsDataset,
  createAnalyticsMetrics,
  type Metrics,
  NO_METRICS,
  type RequestFact,
  SPANS,
  type Span,
} from './http/metrics.ts';
export { openApi } from './http/openapi.ts';
export { type ComposedEdge, composeEdge, type Platform } from './platform/compose.ts';
export { type EdgeConfig, readConfig, VARIABLES } from './platform/config.ts';
export { createJobs, type JobRecord, type JobState, type Jobs, type JobsOptions } from './result/jobs.ts';
export type { Limiter } from './result/limiter.ts';
export type { Caps } from './result/pipeline.ts';
export { purge } from './result/purge.ts';
export { createRateLimit, type RateLimit } from './result/rate-limit.ts';
export { createResultStore, type Ref, type RefName, type ResultStore, type StoredResult } from './result/store.ts';
export type { StoreState } from './result/store-guard.ts';
export { createTieredStore } from './result/tiered.ts';
export { createAllowList } from './source/allow-list.ts';
export { createHttpSource, type HttpSourceOptions } from './source/http.ts';
export { canonicalSource, parseSource, type SourceName } from './source/name.ts';
export { createObjectSource } from './source/object.ts';
export {
  type CacheScope,
  createSources,
  type Revision,
  type Source,
  type SourceFound,
  type SourceReply,
  type SourceRequest,
  type Sources,
} from './source/source.ts';
export { createNextLoader, createUnpicTransformer, type LoaderOptions, signedSrcset } from './url/loaders.ts';
export { OPTION_NAMES, OPTIONS, type OptionName, type OptionSpec, type Options } from './url/options.ts';
export { formatTransform, parseTransform, type Transform } from './url/parse.ts';
export {
  type Credentials,
  createSigner,
  parseCredentials,
  parseUrlKeys,
  type Signer,
  type SignOptions,
  type UrlKey,
} from './url/sign.ts';
export type { UnsignedRules } from './url/unsigned.ts';
