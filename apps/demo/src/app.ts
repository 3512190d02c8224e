import { adoptCompareStyle } from '@elfin/core/element';
import type { WebRestored } from '@elfin/core/web';
import { cameraWords, takePhoto } from './camera.ts';
import { canShare, copy, download, fileOf, zipOf } from './output.ts';
import { $, type Choice, say, wordsOf } from './page.ts';
import { addPhoto, drawStrip, type Photo, photos } from './photos.ts';
import { prepare, present, restore, summary, untouchedWords } from './restoring.ts';
import * as viewer from './viewer.ts';

const [start, work, bar] = [$('start'), $('work'), $<HTMLProgressElement>('bar')];
const strength = $<HTMLInputElement>('strength');
const buttons = {
  save: $<HTMLButtonElement>('save'),
  copy: $<HTMLButtonElement>('copy'),
  share: $<HTMLButtonElement>('share'),
};
let current: Photo | undefined;
let canvas: HTMLCanvasElement | undefined;
let running: { readonly photo: Photo; readonly abort: AbortController } | undefined;

adoptCompareStyle(document);
buttons.share.hidden = !canShare();

const choice = () => document.querySelector<HTMLInputElement>('[name=task]:checked')!.value as Choice;
const choose = (value: Choice) => {
  document.querySelector<HTMLInputElement>(`[name=task][value=${value}]`)!.checked = true;
};
const resultOf = (photo = current) => photo?.results.get(photo.choice);
const statusOf = ({ report }: WebRestored) => (report.task === 'none' ? 'untouched' : 'done');
const redraw = () => drawStrip(current, look);

/** Takes photos in, shows the first of them, restores one after the other. */
function take(files: readonly { readonly file: Blob; readonly name: string }[], wanted = choice()): void {
  if (files.length === 0) return;
  say();
  choose(wanted);
  const added = files.map(({ file, name }) => addPhoto(file, name, wanted));
  open();
  look(added[0]!);
  void next();
}

/** The second of the page's two faces is a step of the browser's history, so that “back” leads to the first. */
function open(): void {
  if (!work.hidden) return;
  start.hidden = true;
  work.hidden = false;
  document.body.classList.add('working');
  if (history.state?.elfin !== 'work') history.pushState({ elfin: 'work' }, '');
  scrollTo(0, 0);
  // What was used last is hidden now; whoever uses keys or a screen reader goes on at the heading of what is shown.
  work.querySelector('h1')!.focus({ preventScroll: true });
}

function close(): void {
  if (work.hidden) return;
  running?.abort.abort();
  work.hidden = true;
  start.hidden = false;
  document.body.classList.remove('working');
  $('resume').hidden = photos.length === 0;
  start.querySelector('h1')!.focus({ preventScroll: true });
  say();
}

/** Shows a photo as it stands: restored, in work, or waiting for it. */
function look(photo: Photo): void {
  current = photo;
  choose(photo.choice);
  say(photo.status === 'failed' ? photo.error : undefined);
  const result = resultOf();
  if (result) void showResult(photo, result);
  else {
    viewer.clear(photo.status === 'failed' ? 'This photo cannot be restored.' : 'Waiting for its turn…');
    settle();
    if (photo.status !== 'working') {
      if (photo.status !== 'failed') photo.status = 'waiting';
      void next();
    }
  }
  redraw();
}

async function showResult(photo: Photo, result: WebRestored): Promise<void> {
  const { picture, compare } = present(photo);
  const { width, height } = result.image;
  await picture.decode().catch(() => {});
  if (photo !== current) return;
  viewer.show(compare, width, height);
  if (result.report.task === 'none') compare.begin(1, 1);
  else {
    await compare.finish(result.image);
    compare.say('Restored. The handle parts before from after.');
  }
  canvas = compare.canvas;
  settle();
}

/** What the page offers, as the photo in view stands. */
function settle(): void {
  const result = resultOf();
  const working = running !== undefined && running.photo === current;
  const restored = result !== undefined && result.report.task !== 'none';
  for (const button of Object.values(buttons)) button.disabled = !restored;
  if (document.activeElement === $('stop') && !working) work.querySelector('h1')!.focus({ preventScroll: true });
  $('stop').hidden = !working;
  bar.hidden = !working;
  $('progress').textContent = working ? 'Restoring…' : '';
  $('retry').hidden = current?.status !== 'failed';
  $('nothing').hidden = result?.report.task !== 'none';
  $('nothing').querySelector('p')!.textContent = result && !restored ? untouchedWords(result) : '';
  $('timing').textContent = result ? summary(result) : '';
  $('zip').hidden = photos.filter(({ status }) => status === 'done').length < 2;
  showStrength();
  redraw();
}

/** Works off what waits, the photo in view first. */
async function next(): Promise<void> {
  if (running || work.hidden) return;
  const photo = current?.status === 'waiting' ? current : photos.find(({ status }) => status === 'waiting');
  if (!photo) return;
  const abort = new AbortController();
  running = { photo, abort };
  photo.status = 'working';
  const { choice: wanted } = photo;
  settle();
  try {
    const result = await restore(photo, wanted, abort.signal, () => photo === current && !abort.signal.aborted);
    // The visitor may have chosen another task meanwhile.
    const due = resultOf(photo);
    if (due) photo.status = statusOf(due);
    else if (!result && photo.choice === wanted) {
      photo.status = 'failed';
      photo.error = 'Stopped.';
    } else photo.status = 'waiting';
  } catch (error) {
    photo.status = 'failed';
    photo.error = wordsOf(error);
  }
  running = undefined;
  if (photo === current) look(photo);
  else settle();
  void next();
}

/** The canvas lies over the photo, so its opacity is the mixture: no second run. */
function showStrength(): void {
  $('amount').textContent = `${strength.value} %`;
  if (canvas) canvas.style.opacity = String(Number(strength.value) / 100);
}

/** Does what a button says, and says what comes of it. */
function press(button: HTMLButtonElement, done: string, act: () => Promise<void>): void {
  const words = button.textContent;
  button.addEventListener('click', async () => {
    button.disabled = true;
    try {
      await act();
      button.textContent = done;
      setTimeout(() => {
        button.textContent = words;
      }, 1500);
    } catch (error) {
      if ((error as Error).name !== 'AbortError') say(wordsOf(error));
    } finally {
      button.disabled = false;
    }
  });
}

const mixture = () => Number(strength.value) / 100;
const made = () => fileOf(current!, resultOf()!, mixture());
press(buttons.save, 'Saved', async () => download(await made()));
press(buttons.copy, 'Copied', () =>
  copy(fileOf(current!, resultOf()!, mixture(), { format: 'png', metadata: 'none' })),
);
press(buttons.share, 'Shared', async () => navigator.share({ files: [await made()] }));
press($<HTMLButtonElement>('zip'), 'Saved', async () => {
  const ready = photos.filter((photo) => photo.status === 'done' && resultOf(photo));
  const files: File[] = [];
  for (const photo of ready) files.push(await fileOf(photo, resultOf(photo)!, mixture()));
  download(await zipOf(files));
});

for (const input of [$<HTMLInputElement>('file'), $<HTMLInputElement>('capture')]) {
  input.addEventListener('change', () => {
    take([...(input.files ?? [])].map((file) => ({ file, name: file.name })));
    input.value = '';
  });
}
for (const button of document.querySelectorAll<HTMLButtonElement>('[data-sample]')) {
  button.addEventListener('click', async () => {
    const name = `${button.dataset.sample}.jpg`;
    const response = await fetch(`samples/${name}`).catch(() => undefined);
    if (response?.ok) take([{ file: await response.blob(), name }], button.dataset.task as Choice);
    else say('The sample could not be fetched; check the connection, or choose a photo of your own.');
  });
}
addEventListener('dragover', (event) => {
  event.preventDefault();
  document.body.classList.add('over');
});
for (const type of ['dragleave', 'drop']) addEventListener(type, () => document.body.classList.remove('over'));
for (const type of ['drop', 'paste'] as const) {
  addEventListener(type, (event) => {
    const target = event.target as Element;
    if (type === 'paste' && target.closest?.('input, select, textarea')) return;
    event.preventDefault();
    const carried = event instanceof DragEvent ? event.dataTransfer : (event as ClipboardEvent).clipboardData;
    const files = [...(carried?.files ?? [])];
    if (files.length > 0) take(files.map((file) => ({ file, name: file.name })));
    else if (type === 'drop') say('Nothing was dropped that is a file; drag the photo itself, or save it first.');
    else say('The clipboard holds no photo; copy the picture itself, not its address.');
  });
}
$('camera').addEventListener('click', async () => {
  // Phones have a better camera app than this page.
  if (!navigator.mediaDevices || matchMedia('(pointer: coarse)').matches) return $('capture').click();
  say();
  try {
    const file = await takePhoto($<HTMLDialogElement>('viewfinder'));
    if (file) take([{ file, name: 'camera.jpg' }]);
  } catch (error) {
    say(cameraWords(error));
  }
});
strength.addEventListener('input', showStrength);
/** Another task for the photo in view: what was made before is shown again, anything else is made. */
function change(wanted: Choice): void {
  choose(wanted);
  if (!current) return;
  current.choice = wanted;
  if (running?.photo === current) running.abort.abort();
  else current.status = 'waiting';
  const result = resultOf();
  if (result) current.status = statusOf(result);
  look(current);
}
for (const input of document.querySelectorAll<HTMLInputElement>('[name=task]')) {
  input.addEventListener('change', () => change(input.value as Choice));
}
for (const button of document.querySelectorAll<HTMLButtonElement>('[data-remove]')) {
  button.addEventListener('click', () => change(button.dataset.remove as Choice));
}
$('stop').addEventListener('click', () => running?.abort.abort());
$('retry').addEventListener('click', () => current && change(current.choice));
$('again').addEventListener('click', () => history.back());
$('resume').addEventListener('click', () => {
  open();
  if (current) look(current);
});
addEventListener('popstate', ({ state }) => (state?.elfin === 'work' && current ? open() : close()));
for (const id of ['format', 'quality']) $(id).addEventListener('input', showQuality);
function showQuality(): void {
  $('sharpness').textContent = $<HTMLInputElement>('quality').value;
  $<HTMLInputElement>('quality').disabled = $<HTMLSelectElement>('format').value === 'png';
}
showQuality();
for (const button of document.querySelectorAll<HTMLButtonElement>('[data-copy]')) {
  press(button, 'Copied', () =>
    navigator.clipboard.writeText(button.parentElement!.querySelector('code')!.textContent!),
  );
}

/** Resolves once the service worker sees what the page fetches, so that a first visit is kept whole; after 5 s without it. */
async function kept(): Promise<void> {
  if (!('serviceWorker' in navigator)) return;
  const { serviceWorker } = navigator;
  const taken = new Promise((resolve) => serviceWorker.addEventListener('controllerchange', resolve, { once: true }));
  const registration = await serviceWorker.register('service-worker.js').catch(() => undefined);
  if (!registration || registration.active || serviceWorker.controller) return;
  await Promise.race([taken, new Promise((resolve) => setTimeout(resolve, 5000))]);
}

/** Nothing is fetched for somebody who only looks: the first gesture begins it, before the photo is chosen. */
function begin(): void {
  for (const type of GESTURES) removeEventListener(type, begin);
  void kept()
    .then(prepare)
    .catch((error) => say(wordsOf(error)));
}
const GESTURES = ['pointerdown', 'keydown', 'dragenter', 'paste', 'change'] as const;
for (const type of GESTURES) addEventListener(type, begin);
