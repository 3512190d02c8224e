import type { ImageFormat, Metadata } from '../image/codec.ts';
import type { PixelImage } from '../image/pixels.ts';
import type { Manifest } from '../model/manifest.ts';
import type { Download, ModelSize, Task } from '../model/models.ts';
import type { Classification, RestoreOptions } from '../restore/options.ts';
import type { RestoreReport } from '../restore/report.ts';
import type { OpenedInput } from '../restorer.ts';
import type { Backend } from '../runtime/runtime.ts';
import type { Progress, TilePreview } from '../tiling/run.ts';
import type { BlobOptions } from './page/result.ts';
import type { WireError } from './wire.ts';

/** How a worker is set up; said once, before anything else. */
export interface Settings {
  readonly device: 'auto' | 'webgpu' | 'wasm';
  readonly threads?: number;
  readonly assets?: string;
  readonly classify: boolean;
  /** Why WebGPU is not to be tried again, after it was lost too often. */
  readonly avoid?: string;
}

/** A model as the worker knows it: it asks for the weights when it needs them. */
export interface WireModel {
  readonly name: string;
  readonly digest: string;
  readonly manifest: Manifest;
}

/** What can be cloned of the options; the rest are messages of their own. */
export type WireOptions = Omit<RestoreOptions, 'model' | 'signal' | 'onProgress' | 'onTile'> & {
  readonly model?: ModelSize | WireModel;
};

export type WireInput = Uint8Array | Blob | PixelImage | ImageBitmap;

/** What is to become a file. */
export interface EncodeAsk {
  readonly image: PixelImage;
  readonly source: ImageFormat | undefined;
  readonly metadata: Metadata;
  readonly options: Omit<BlobOptions, 'signal' | 'pixels'>;
}

/** What the page asks of the worker. */
export interface Calls {
  encode: { readonly ask: EncodeAsk; readonly answer: Blob };
  restore: {
    readonly ask: { readonly input: WireInput; readonly options: WireOptions; readonly tiles: boolean };
    readonly answer: {
      readonly image: PixelImage;
      readonly prior: PixelImage;
      readonly beside: Omit<OpenedInput, 'image' | 'warnings'>;
      readonly report: RestoreReport;
    };
  };
  warmup: {
    readonly ask: { readonly task: Task; readonly model?: ModelSize | WireModel };
    readonly answer: Backend;
  };
}

/** What the worker asks of the page. */
export interface Questions {
  model: { readonly ask: { readonly task: Task; readonly size: ModelSize }; readonly answer: WireModel };
  weights: { readonly ask: { readonly digest: string }; readonly answer: Uint8Array };
  classify: { readonly ask: { readonly thumbnail: PixelImage }; readonly answer: Classification };
}

type Asks<M, K extends string> = {
  [N in keyof M]: { readonly kind: K; readonly name: N } & Pick<M[N] & { ask: unknown }, 'ask'>;
}[keyof M];

export type ToWorker =
  | { readonly kind: 'settings'; readonly settings: Settings }
  | ({ readonly id: number } & Asks<Calls, 'call'>)
  | { readonly kind: 'abort'; readonly id: number }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'refusal'; readonly id: number; readonly error: WireError };

export type ToPage =
  /** The worker's code has been loaded. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'result'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly error: WireError }
  | { readonly kind: 'progress'; readonly id: number; readonly progress: Progress }
  | { readonly kind: 'tile'; readonly id: number; readonly tile: TilePreview }
  | { readonly kind: 'download'; readonly download: Download }
  /** The WebGPU device is gone: this worker is of no more use. */
  | { readonly kind: 'lost'; readonly reason: string }
  | ({ readonly id: number } & Asks<Questions, 'question'>);
