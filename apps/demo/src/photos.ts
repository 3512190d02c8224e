import type { WebRestored } from '@elfin/core/web';
import { $, type Choice } from './page.ts';

export type Status = 'waiting' | 'working' | 'done' | 'untouched' | 'failed';

/** A photo of the visitor's, and what has been made of it. */
export interface Photo {
  readonly file: Blob;
  readonly name: string;
  /** Kept as long as the page is open. */
  readonly url: string;
  choice: Choice;
  status: Status;
  error?: string;
  /** By choice: going back to one costs nothing. */
  readonly results: Map<Choice, WebRestored>;
}

/** Pixels of results that are kept; the oldest go first, and are made again when they are asked for. */
const MOST_PIXELS = 100e6;
export const photos: Photo[] = [];
const kept: { readonly photo: Photo; readonly choice: Choice; readonly pixels: number }[] = [];

export function addPhoto(file: Blob, name: string, choice: Choice): Photo {
  const photo: Photo = { file, name, choice, url: URL.createObjectURL(file), status: 'waiting', results: new Map() };
  photos.push(photo);
  return photo;
}

export function keep(photo: Photo, choice: Choice, result: WebRestored): void {
  photo.results.set(choice, result);
  kept.push({ photo, choice, pixels: result.image.width * result.image.height });
  let sum = kept.reduce((all, { pixels }) => all + pixels, 0);
  while (sum > MOST_PIXELS && kept.length > 1) {
    const oldest = kept.shift()!;
    oldest.photo.results.delete(oldest.choice);
    sum -= oldest.pixels;
  }
}

const WORDS: Readonly<Record<Status, string>> = {
  waiting: 'waiting',
  working: 'being restored',
  done: 'restored',
  untouched: 'nothing found',
  failed: 'failed',
};

/** The strip of photos, from the second on. */
export function drawStrip(current: Photo | undefined, choose: (photo: Photo) => void): void {
  const strip = $('strip');
  strip.hidden = photos.length < 2;
  strip.replaceChildren(
    ...photos.map((photo) => {
      const button = Object.assign(document.createElement('button'), { type: 'button', className: photo.status });
      button.setAttribute('aria-pressed', String(photo === current));
      // A file that is no picture has none to show.
      const picture = Object.assign(new Image(), { alt: '', loading: 'lazy', decoding: 'async' });
      if (photo.status !== 'failed') picture.src = photo.url;
      const words = Object.assign(document.createElement('span'), {
        textContent: `${photo.name}: ${WORDS[photo.status]}`,
      });
      button.append(picture, words);
      button.title = photo.error ?? words.textContent!;
      button.addEventListener('click', () => choose(photo));
      return button;
    }),
  );
}
