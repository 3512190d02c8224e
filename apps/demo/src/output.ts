import type { BlobOptions, WebRestored } from '@elfin/core/web';
import { type AsyncZippable, zip } from 'fflate';
import { $ } from './page.ts';
import type { Photo } from './photos.ts';

const ENDINGS: Readonly<Record<string, string>> = { 'image/jpeg': 'jpg', 'image/png': 'png', 'image/webp': 'webp' };
const valueIn = (id: string) => $<HTMLInputElement | HTMLSelectElement>(id).value;

/** What the visitor has chosen under “File”. */
function chosen(): BlobOptions {
  const format = valueIn('format');
  const size = Number(valueIn('size'));
  return {
    format: format === 'same' ? undefined : (format as 'jpeg'),
    quality: format === 'png' ? undefined : Number(valueIn('quality')),
    maxSide: size || undefined,
    metadata: valueIn('metadata') as 'keep',
  };
}

/** A result as a file, mixed with its source as the slider stands. */
export async function fileOf(photo: Photo, result: WebRestored, strength: number, options = chosen()): Promise<File> {
  const pixels = strength < 1 ? await mix(photo.file, result, strength) : undefined;
  const blob = await result.toBlob({ ...options, pixels });
  const name = `${photo.name.replace(/\.\w+$/, '')}-restored.${ENDINGS[blob.type] ?? 'png'}`;
  return new File([blob], name, { type: blob.type });
}

const ROWS = 128;

/** A strip at a time, between which the page gets its turn. */
async function mix(file: Blob, { image }: WebRestored, strength: number) {
  const bitmap = await createImageBitmap(file);
  const { width, height, channels } = image;
  const canvas = new OffscreenCanvas(width, ROWS);
  const context = canvas.getContext('2d', { willReadFrequently: true })!;
  const data = image.data.slice();
  const depth = data instanceof Uint16Array ? 257 : 1;
  for (let top = 0; top < height; top += ROWS) {
    context.drawImage(bitmap, 0, -top);
    const source = context.getImageData(0, 0, width, ROWS).data;
    const pixels = width * Math.min(ROWS, height - top);
    for (let i = 0, from = 0, to = top * width * channels; i < pixels; i++, from += 4, to += channels) {
      for (let c = 0; c < Math.min(3, channels); c++) {
        data[to + c] = data[to + c]! * strength + source[from + c]! * depth * (1 - strength);
      }
    }
    await new Promise((resolve) => setTimeout(resolve));
  }
  bitmap.close();
  return { ...image, data };
}

export function download(file: File): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(file);
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Several files as one; pictures do not get smaller by it. */
export async function zipOf(files: readonly File[]): Promise<File> {
  const entries: AsyncZippable = {};
  for (const file of files) {
    let name = file.name;
    for (let n = 2; name in entries; n++) name = file.name.replace(/(\.\w+)$/, `-${n}$1`);
    entries[name] = [new Uint8Array(await file.arrayBuffer()), { level: 0 }];
  }
  const bytes = await new Promise<Uint8Array>((resolve, reject) =>
    zip(entries, (error, data) => (error ? reject(error) : resolve(data))),
  );
  return new File([bytes as Uint8Array<ArrayBuffer>], 'restored.zip', { type: 'application/zip' });
}

/** Clipboards take PNG. */
export async function copy(making: Promise<Blob>): Promise<void> {
  await navigator.clipboard.write([new ClipboardItem({ 'image/png': making })]);
}

export const canShare = (): boolean =>
  navigator.canShare?.({ files: [new File([], 'photo.jpg', { type: 'image/jpeg' })] }) ?? false;
