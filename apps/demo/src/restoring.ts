import { type Compare, createCompare } from '@elfin/core/element';
import {
  type Backend,
  createRestorer,
  fetchModels,
  isElfinError,
  type PreloadProgress,
  type RestoreReport,
  type WebRestored,
} from '@elfin/core/web';
import { startPace } from './pace.ts';
import { $, type Choice, LABELS, say } from './page.ts';
import { keep, type Photo } from './photos.ts';
import * as viewer from './viewer.ts';

const models = fetchModels('elfin/models', {
  onUncached: (reason) => say(`The model could not be kept for offline use: ${reason}. Everything else works.`),
});
// `?device=wasm` for comparing.
const device = new URLSearchParams(location.search).get('device') === 'wasm' ? 'wasm' : 'auto';
const restorer = createRestorer({ models, assets: 'elfin', device });
const bar = $<HTMLProgressElement>('bar');
const progress = $('progress');

function nameBackend({ provider, threads, declined }: Backend): void {
  const what = provider === 'webgpu' ? 'Runs on your GPU (WebGPU)' : `Runs on your CPU, ${threadsOf(threads)}`;
  $('backend').textContent = what;
  $('backend').title = declined.map(({ provider: other, reason }) => `Not ${other}: ${reason}`).join('\n');
}

const threadsOf = (threads: number) => (threads === 1 ? 'one thread' : `${threads} threads`);

/** Fetches runtime and weights, while the visitor still looks for a photo. */
export async function prepare(): Promise<void> {
  const parts = { weights: 0, runtime: 0 };
  const tell = ({ part, loaded }: PreloadProgress) => {
    parts[part] = loaded;
    $('backend').textContent = `Getting ready: ${((parts.weights + parts.runtime) / 1e6).toFixed(1)} MB`;
  };
  try {
    nameBackend(await restorer.preload({ task: 'derain', onProgress: tell }));
    // The other tasks' weights, so that the next visit may be without a connection; what fails here is fetched when needed.
    for (const other of ['lowlight', 'underwater'] as const) {
      models
        .resolve(other, 'lw')
        .then((model) => model.bytes())
        .catch(() => {});
    }
  } catch (error) {
    $('backend').textContent = 'Not ready yet';
    throw error;
  }
}

const percent = (value: number) => `${Math.round(value * 100)} %`;

/** What was found and done, in plain words. */
export function summary({ image, report }: WebRestored): string {
  if (report.task === 'none') return '';
  const found = foundBy(report);
  const seconds = (report.timings.total / 1000).toFixed(1);
  const pieces = report.tiles === 1 ? 'in one piece' : `in ${report.tiles} tiles`;
  const { provider, threads } = report.backend;
  const where = provider === 'webgpu' ? 'WebGPU' : `WebAssembly, ${threadsOf(threads)}`;
  return `${found}${image.width} × ${image.height}, ${pieces}, ${seconds} s on ${where}. Model ${report.model}.`;
}

function foundBy({ classification }: RestoreReport): string {
  if (!classification || classification.task === 'none') return '';
  return `${LABELS[classification.task]} was found, ${percent(classification.confidence)} sure. `;
}

/** What `auto` says of a photo that it leaves alone. */
export function untouchedWords({ report }: WebRestored): string {
  const sure = report.classification ? ` (${percent(report.classification.confidence)} sure)` : '';
  return `Nothing was found that needs restoring${sure}. Is something to be removed all the same?`;
}

/** The photo and, over it, what it becomes. */
export function present(photo: Photo): { readonly picture: HTMLImageElement; readonly compare: Compare } {
  const picture = Object.assign(new Image(), { src: photo.url, alt: 'The photo as it was' });
  return { picture, compare: createCompare(picture) };
}

/**
 * Restores a photo; `seen` tells whether the visitor still looks at it, so that what it becomes is drawn. Errors: those of
 * `Restorer.restore`.
 */
export async function restore(photo: Photo, choice: Choice, signal: AbortSignal, seen: () => boolean) {
  const { picture, compare } = present(photo);
  if (seen()) viewer.clear('Reading the photo…');
  // Shown when the SDK has found it fit to be decoded: nobody else looks at the size of what is dropped.
  let shown: Promise<void> | undefined;
  let pace: ReturnType<typeof startPace> | undefined;
  const show = async () => {
    await picture.decode().catch(() => {});
    const [width, height] = [picture.naturalWidth || 1, picture.naturalHeight || 1];
    if (signal.aborted) return;
    pace = startPace((width * height) / 1e6, (fraction, left) => {
      if (!seen()) return;
      bar.value = fraction;
      const time = left > 90 ? `${Math.round(left / 60)} minutes` : `${left} s`;
      progress.textContent = `Restoring: ${percent(fraction)}, about ${time} left`;
    });
    if (!seen()) return;
    viewer.show(compare, width, height);
    compare.begin(width, height);
  };
  try {
    const result = await restorer.restore(photo.file, {
      task: choice,
      signal,
      onTile: (tile) => shown?.then(() => seen() && compare.draw(tile)),
      onProgress: ({ phase, fraction }) => {
        if (phase !== 'decode') shown ??= show();
        pace?.report(fraction);
      },
    });
    await shown;
    keep(photo, choice, result);
    pace?.end(result.report.task !== 'none');
    if (result.report.task !== 'none') nameBackend(result.report.backend);
    return result;
  } catch (error) {
    pace?.end(false);
    if (signal.aborted && isElfinError(error)) return undefined;
    throw error;
  }
}
