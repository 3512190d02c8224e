import { COMPARE_STYLE, type Compare, createCompare, paintPixels } from '@elfin/core/element';
import { type Backend, createRestorer, fetchModels, isElfinError, type Restored, type Task } from '@elfin/core/web';
import { cameraWords, takePhoto } from './camera.ts';

declare const MODELS: readonly string[];

const LABELS: Readonly<Record<Task, string>> = { derain: 'Rain', lowlight: 'Darkness', underwater: 'Water' };
const $ = <E extends HTMLElement>(id: string) => document.getElementById(id) as E;
const start = $('start');
const work = $('work');
const stage = $('stage');
const bar = $<HTMLProgressElement>('bar');
const message = $('message');
const task = $<HTMLSelectElement>('task');
const strength = $<HTMLInputElement>('strength');
const save = $<HTMLButtonElement>('save');
const stop = $<HTMLButtonElement>('stop');

const models = fetchModels('elfin/models', {
  onUncached: (reason) => say(`The model could not be kept for offline use: ${reason}. Everything else works.`),
});
// `?device=wasm` for comparing.
const device = new URLSearchParams(location.search).get('device') === 'wasm' ? 'wasm' : 'auto';
const restorer = createRestorer({ models, assets: 'elfin', device });
let current: { file: Blob; name: string; compare: Compare; result?: Restored; abort: AbortController } | undefined;

document.head.append(Object.assign(document.createElement('style'), { textContent: COMPARE_STYLE }));
const tasks = Object.keys(LABELS).filter((name) => MODELS.includes(`${name}-lw`)) as Task[];
if (tasks.length === Object.keys(LABELS).length) task.append(new Option('Whatever is found', 'auto'));
task.append(...tasks.map((name) => new Option(LABELS[name], name)));

function say(text: string | undefined): void {
  message.hidden = text === undefined;
  message.textContent = text ?? '';
}

function wordsOf(error: unknown): string {
  if (isElfinError(error)) return error.message;
  return `Something went wrong: ${error instanceof Error ? error.message : error}`;
}

function nameBackend({ provider, threads, declined }: Backend): void {
  const what =
    provider === 'webgpu'
      ? 'Runs on your GPU (WebGPU)'
      : `Runs on your CPU, ${threads === 1 ? 'one thread' : `${threads} threads`}`;
  $('backend').textContent = what;
  $('backend').title = declined.map(({ provider: other, reason }) => `Not ${other}: ${reason}`).join('\n');
}

async function prepare(): Promise<void> {
  const parts = { weights: 0, runtime: 0 };
  try {
    const backend = await restorer.preload({
      task: tasks[0]!,
      onProgress: ({ part, loaded, total }) => {
        parts[part] = loaded;
        const sum = (parts.weights + parts.runtime) / 1e6;
        $('backend').textContent = `Getting ready: ${sum.toFixed(1)} MB`;
        bar.hidden = false;
        bar.value = total ? loaded / total : 0;
      },
    });
    nameBackend(backend);
    // The other tasks' weights, so that the next visit may be without a connection; what fails here is fetched when needed.
    for (const other of tasks.slice(1))
      models
        .resolve(other, 'lw')
        .then((model) => model.bytes())
        .catch(() => {});
  } catch (error) {
    $('backend').textContent = 'Not ready';
    say(wordsOf(error));
  } finally {
    bar.hidden = true;
  }
}

async function take(file: Blob, name: string): Promise<void> {
  current?.abort.abort();
  say(undefined);
  const picture = new Image();
  const url = URL.createObjectURL(file);
  picture.src = url;
  picture.alt = 'The photo as it was';
  const compare = createCompare(picture);
  stage.replaceChildren('Reading the photo…');
  current = { file, name, compare, abort: new AbortController() };
  start.hidden = true;
  // What was used last is hidden now; whoever uses keys or a screen reader goes on at the heading of what is shown.
  if (work.hidden) {
    work.hidden = false;
    work.querySelector('h1')!.focus();
  }
  try {
    await run(picture);
  } finally {
    URL.revokeObjectURL(url);
  }
}

async function run(picture: HTMLImageElement): Promise<void> {
  const mine = current!;
  const { compare, abort } = mine;
  delete mine.result;
  save.disabled = true;
  $('timing').textContent = '';
  stop.hidden = false;
  bar.hidden = false;
  bar.value = 0;
  // Shown when the SDK has found it fit to be decoded: nobody else looks at the size of what is dropped.
  let shown: Promise<void> | undefined;
  const show = async () => {
    stage.replaceChildren(compare.root);
    await picture.decode().catch(() => {});
    compare.canvas.style.opacity = '';
    compare.begin(picture.naturalWidth || 1, picture.naturalHeight || 1);
  };
  try {
    const result = await restorer.restore(mine.file, {
      task: task.value as Task | 'auto',
      signal: abort.signal,
      onTile: (tile) => shown?.then(() => compare.draw(tile)),
      onProgress: ({ phase, fraction }) => {
        if (mine !== current) return;
        if (phase !== 'decode') shown ??= show();
        bar.value = fraction;
        compare.busy(`Restoring: ${Math.round(fraction * 100)} %`);
      },
    });
    await shown;
    await compare.finish(result.image);
    if (mine !== current) return;
    mine.result = result;
    showStrength();
    save.disabled = false;
    const { report, image } = result;
    if (report.task === 'none') {
      compare.say('Nothing was found that needs restoring.');
      $('timing').textContent = 'Nothing was found that needs restoring; choose what to remove to try all the same.';
      return;
    }
    compare.say('Restored. The handle parts before from after.');
    nameBackend(report.backend);
    const seconds = (report.timings.total / 1000).toFixed(1);
    const pieces = report.tiles === 1 ? 'in one piece' : `in ${report.tiles} tiles`;
    const { provider, threads } = report.backend;
    const where =
      provider === 'webgpu' ? 'WebGPU' : `WebAssembly, ${threads === 1 ? 'one thread' : `${threads} threads`}`;
    $('timing').textContent =
      `${image.width} × ${image.height}, ${pieces}, ${seconds} s on ${where}. Model ${report.model}.`;
  } catch (error) {
    if (isElfinError(error) && error.code === 'ABORTED') {
      if (mine === current) reset();
      return;
    }
    reset();
    say(wordsOf(error));
  } finally {
    if (mine === current || !current) {
      if (document.activeElement === stop) save.focus();
      stop.hidden = true;
      bar.hidden = true;
    }
  }
}

function reset(): void {
  current?.abort.abort();
  current = undefined;
  stage.replaceChildren();
  const shown = !work.hidden;
  work.hidden = true;
  start.hidden = false;
  if (shown) start.querySelector('h1')!.focus({ preventScroll: true });
  $('timing').textContent = '';
  say(undefined);
}

/** The canvas lies over the photo, so its opacity is the mixture: no second run. */
function showStrength(): void {
  $('amount').textContent = `${strength.value} %`;
  if (current) current.compare.canvas.style.opacity = String(Number(strength.value) / 100);
}

async function download(): Promise<void> {
  const { result, file, name } = current ?? {};
  if (!result || !file) return;
  const { width, height } = result.image;
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const context = canvas.getContext('2d')!;
  const mix = Number(strength.value) / 100;
  const restored = new OffscreenCanvas(width, height);
  await paintPixels(restored.getContext('2d')!, result.image);
  if (mix < 1) context.drawImage(await createImageBitmap(file), 0, 0);
  context.globalAlpha = mix;
  context.drawImage(restored, 0, 0);
  const type = file.type === 'image/jpeg' ? 'image/jpeg' : 'image/png';
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, type, 0.92));
  if (!blob) return say('The browser could not write the picture; it may be too large for it.');
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = `${name!.replace(/\.\w+$/, '')}-restored.${type === 'image/jpeg' ? 'jpg' : 'png'}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

for (const id of ['file', 'capture']) {
  const input = $<HTMLInputElement>(id);
  input.addEventListener('change', () => {
    const [file] = input.files ?? [];
    if (file) void take(file, file.name);
    input.value = '';
  });
}
$('sample').addEventListener('click', async () => {
  const response = await fetch('sample.jpg').catch(() => undefined);
  if (response?.ok) void take(await response.blob(), 'sample.jpg');
  else say('The sample could not be fetched; check the connection, or choose a photo of your own.');
});
addEventListener('dragover', (event) => {
  event.preventDefault();
  document.body.classList.add('over');
});
for (const type of ['dragleave', 'drop']) addEventListener(type, () => document.body.classList.remove('over'));
addEventListener('drop', (event) => {
  event.preventDefault();
  const [file] = event.dataTransfer?.files ?? [];
  if (file) void take(file, file.name);
  else say('Nothing was dropped that is a file; drag the photo itself, or save it first.');
});
addEventListener('paste', (event) => {
  const [file] = event.clipboardData?.files ?? [];
  if (file) void take(file, file.name);
  else say('The clipboard holds no photo; copy the picture itself, not its address.');
});
$('camera').addEventListener('click', async () => {
  // Phones have a better camera app than this page.
  if (!navigator.mediaDevices || matchMedia('(pointer: coarse)').matches) return $('capture').click();
  say(undefined);
  try {
    const photo = await takePhoto($<HTMLDialogElement>('viewfinder'));
    if (photo) void take(photo, 'camera.jpg');
  } catch (error) {
    say(cameraWords(error));
  }
});
strength.addEventListener('input', showStrength);
task.addEventListener('change', () => current && void take(current.file, current.name));
save.addEventListener('click', () => void download().catch((error) => say(wordsOf(error))));
stop.addEventListener('click', reset);
$('again').addEventListener('click', reset);

/** Resolves once the service worker sees what the page fetches, so that a first visit is kept whole; after 5 s without it. */
async function kept(): Promise<void> {
  if (!('serviceWorker' in navigator)) return;
  const { serviceWorker } = navigator;
  const taken = new Promise((resolve) => serviceWorker.addEventListener('controllerchange', resolve, { once: true }));
  const registration = await serviceWorker.register('service-worker.js').catch(() => undefined);
  if (!registration || registration.active || serviceWorker.controller) return;
  await Promise.race([taken, new Promise((resolve) => setTimeout(resolve, 5000))]);
}
void kept().then(prepare);
