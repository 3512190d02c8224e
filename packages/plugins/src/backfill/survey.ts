import { probeImage } from '@elfin/core';
import { type ObjectStore, readAll } from '@elfin/storage';
import { type BackfillPlace, wantedPages } from './backfill.ts';

/** What a backfill would have to do. */
export interface BackfillSurvey {
  readonly objects: number;
  readonly bytes: number;
  /** Of all of them, by the headers of the first few of each page; undefined where none of these could be read. */
  readonly megapixels: number | undefined;
  /** How many headers were read for that. */
  readonly sampled: number;
}

export interface SurveyOptions {
  /** Headers read of each page of a thousand. Default 10. */
  readonly samplesPerPage?: number | undefined;
  /** Where a cursor stands. */
  readonly after?: string | undefined;
  readonly onPage?: ((objects: number) => void) | undefined;
}

/** Most headers end within their first 64 KiB, large previews in EXIF included. */
const HEADER_BYTES = 65_536;

/**
 * Looks at what a backfill would send, without sending it: lists, and reads the headers of a few.
 * Errors: what the store throws while listing, ABORTED.
 */
export async function surveyBackfill(place: BackfillPlace, options: SurveyOptions = {}): Promise<BackfillSurvey> {
  const { samplesPerPage = 10, after, onPage } = options;
  let [objects, bytes, sampled, sampledBytes, sampledPixels] = [0, 0, 0, 0, 0];
  for await (const page of wantedPages(place, after)) {
    for (const { size } of page.objects) bytes += size;
    objects += page.objects.length;
    for (const { key, size } of page.objects.slice(0, samplesPerPage)) {
      const pixels = await pixelsOf(place.store, key);
      if (pixels === undefined) continue;
      sampled++;
      sampledBytes += size;
      sampledPixels += pixels;
    }
    onPage?.(objects);
  }
  const megapixels = sampledBytes === 0 ? undefined : (sampledPixels / sampledBytes) * (bytes / 1e6);
  return { objects, bytes, megapixels, sampled };
}

async function pixelsOf(store: ObjectStore, key: string): Promise<number | undefined> {
  try {
    const found = await store.get(key, { range: { start: 0, end: HEADER_BYTES - 1 } });
    if (typeof found !== 'object') return undefined;
    const { width, height } = probeImage(await readAll(found.body, { limit: HEADER_BYTES }));
    return width * height;
  } catch {
    // No image, or one whose header lies further in: the others speak for it.
    return undefined;
  }
}
