import type { Step } from '@elfin/plugins';
import sharp from 'sharp';

/** Also writes a thumbnail of each restored photo. */
export const thumbnail: Step = {
  name: 'thumbnail',
  async run({ event, result, storage, marks, signal }) {
    const bytes = await sharp(result.bytes).resize(320, 320, { fit: 'inside' }).webp().toBuffer();
    // Marked as elfin's own, so that no rule restores it; written again after a crash, which does no harm.
    await storage(result.bucket)!.put(`thumbnails/${event.key}.webp`, bytes, {
      type: 'image/webp',
      metadata: marks,
      signal,
    });
  },
};
