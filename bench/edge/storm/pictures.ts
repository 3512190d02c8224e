import { type Codec, type Models, type PixelImage, planFit } from '@elfin/core';
import { createRestorer } from '@elfin/core/node';
import { createLocalBackend } from '@elfin/edge';
import { workContext } from '../../../test/helpers/work-context.ts';
import { random } from './random.ts';

const SIDE = 48;
const COUNT = 40;
export const WIDTHS = [20, 32, 48] as const;

export interface Pictures {
  /** Encoded sources. */
  readonly sources: readonly Uint8Array[];
  /** What a request for a source must be answered with, as pixels. */
  expected(index: number, restore: 'derain' | 'none', width: number): PixelImage;
}

/** A gradient of its own colour with streaks: restoring it changes it. */
function picture(index: number): PixelImage {
  const next = random(1000 + index);
  const base = [next() * 160, next() * 160, next() * 160];
  const data = new Uint8Array(SIDE * SIDE * 3);
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const streak = (x * 7 + y + index) % 13 === 0 ? 90 : 0;
      for (let c = 0; c < 3; c++)
        data[(y * SIDE + x) * 3 + c] = (base[c] as number) * (0.4 + (0.6 * x) / SIDE) + streak;
    }
  }
  return { width: SIDE, height: SIDE, channels: 3, data };
}

/** The sources, and everything that may be asked of them made beforehand by the bundled network in this process. */
export async function createPictures(codec: Codec, models: Models): Promise<Pictures> {
  await using restorer = createRestorer({ models, codec });
  const backend = createLocalBackend({ codec, restorer });
  const sources: Uint8Array[] = [];
  const expected = new Map<string, PixelImage>();
  for (let index = 0; index < COUNT; index++) {
    const bytes = await codec.encode(picture(index), { format: 'png' });
    sources.push(bytes);
    const header = await codec.probe(bytes);
    for (const restore of ['derain', 'none'] as const) {
      for (const width of WIDTHS) {
        const options = { restore, width, format: 'png' } as const;
        const context = workContext({ deadline: Date.now() + 600_000 });
        const made = await backend.make({ bytes, header, options, firstFrame: false }, context);
        const plan = planFit(header, options);
        if (made.width !== plan.width) throw new Error('The picture was not fitted.');
        expected.set(`${index} ${restore} ${width}`, await codec.decode(made.bytes));
      }
    }
  }
  return {
    sources,
    expected: (index, restore, width) => expected.get(`${index} ${restore} ${width}`) as PixelImage,
  };
}

/** The largest difference of two images in any channel; infinite where their sides differ. */
export function apart(one: PixelImage, other: PixelImage): number {
  if (one.width !== other.width || one.height !== other.height || one.channels !== other.channels) return Infinity;
  let most = 0;
  for (let at = 0; at < one.data.length; at++) {
    most = Math.max(most, Math.abs((one.data[at] as number) - (other.data[at] as number)));
  }
  return most;
}
