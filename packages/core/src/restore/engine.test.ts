import { describe, expect, it } from 'vitest';
import { namedModel } from '../../../../test/helpers/accelerator.ts';
import { identitySessions } from '../../../../test/helpers/identity-session.ts';
import type { Decoded } from '../image/codec.ts';
import { createRestorer } from '../restorer.ts';
import type { Classify } from './options.ts';

const image = { width: 20, height: 12, channels: 3, data: new Uint8Array(720) } as const;
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const inDays = (days: number) => Date.now() + days * 24 * 3600 * 1000;

/** A restorer of pictures that nothing is done to; decoding and the network take as long as they are told. */
function setUp({ decoding = 0, running = 0, classify }: { decoding?: number; running?: number; classify?: Classify }) {
  const { open, log } = identitySessions({ before: () => wait(running).then(() => undefined) });
  let decoded = 0;
  const restorer = createRestorer({
    models: { resolve: async () => namedModel() },
    runtime: { name: 'identity', open: (_, options) => open(options) },
    codec: {
      async decode() {
        decoded++;
        await wait(decoding);
        return { ...image, metadata: {}, header: {} } as Decoded;
      },
    },
    ...(classify && { classify }),
  });
  return { restorer, log, decoded: () => decoded };
}

it.each([
  { strength: 2 },
  { strength: Number.NaN },
  { tiling: { tile: 100 } },
  { tiling: { mode: 'local', tile: 64, overlap: 64 } as const },
  { tiling: { mode: 'global', passes: 9 } as const },
  { tiling: 'tiny' as 'local' },
])('%o is refused before anything is decoded', async (wrong) => {
  const { restorer, log, decoded } = setUp({ classify: () => ({ task: 'none', confidence: 1 }) });
  for (const task of ['derain', 'auto'] as const) {
    const work = restorer.restore(new Uint8Array(9), { task, ...wrong });
    await expect(work).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  }
  expect([decoded(), log.opened.length]).toEqual([0, 0]);
});

describe('a deadline', () => {
  it('that is over stops an image before it is read', async () => {
    const { restorer, log, decoded } = setUp({});
    const work = restorer.restore(new Uint8Array(9), { task: 'derain', deadline: Date.now() - 1 });
    await expect(work).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect([decoded(), log.opened.length]).toEqual([0, 0]);
  });

  it('that passes while an image is decoded counts, whether the image needs restoring or not', async () => {
    const { restorer, log } = setUp({ decoding: 60, classify: () => ({ task: 'none', confidence: 1 }) });
    for (const task of ['derain', 'auto'] as const) {
      const work = restorer.restore(new Uint8Array(9), { task, deadline: Date.now() + 30 });
      await expect(work).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    }
    expect(log.opened).toEqual([]);
  });

  it('lets go of who waits behind another image', async () => {
    const { restorer } = setUp({ running: 300 });
    let first = 'under way';
    const work = restorer.restore(image, { task: 'derain' }).then(() => {
      first = 'done';
    });
    const behind = restorer.restore(image, { task: 'derain', deadline: Date.now() + 30 });
    await expect(behind).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(first).toBe('under way');
    await work;
  });

  it.each([Number.POSITIVE_INFINITY, inDays(30)])('of %d is none', async (deadline) => {
    const { restorer } = setUp({ running: 20 });
    const { report } = await restorer.restore(image, { task: 'derain', deadline });
    expect(report.task).toBe('derain');
  });
});
