export type { Axis } from './axis.ts';
export { imageSink, imageSource, type PixelSink, type PixelSource, type Samples } from './pixels.ts';
export {
  BYTES_PER_PIXEL,
  type Plan,
  type PlanInput,
  planTiles,
  TILING_MODES,
  type TilingMode,
  type TilingOptions,
} from './plan.ts';
export { type Phase, type Progress, runTiles, type TilingJob, type TilingReport } from './run.ts';
export { createStatisticsTotal, type StatisticsTotal } from './statistics.ts';
