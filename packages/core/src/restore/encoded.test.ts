import { expect, it } from 'vitest';
import { readImage } from '../../../../test/fixtures/images/read.ts';
import { namedModel } from '../../../../test/helpers/accelerator.ts';
import { identitySessions } from '../../../../test/helpers/identity-session.ts';
import type { EncodedOptions } from './encoded.ts';
import { createRestorer, loadSharpCodec } from './node-restorer.ts';

const { open, log } = identitySessions();
const restorer = createRestorer({
  models: { resolve: async () => namedModel() },
  runtime: { name: 'identity', open: (_, options) => open(options) },
});

it.each<[string, Omit<EncodedOptions, 'task'>]>([
  ['rgb.jpg', { quality: 0 }],
  ['rgb.png', { format: 'webp', quality: 101 }],
  ['rgb.png', { format: 'gif' as 'png' }],
])('%s with %o is refused before anything is opened', async (file, wrong) => {
  const read = { bytes: false };
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        read.bytes = true;
        controller.enqueue(readImage(file));
        controller.close();
      },
    },
    { highWaterMark: 0 },
  );
  await expect(restorer.restoreEncoded(stream, { task: 'derain', ...wrong })).rejects.toMatchObject({
    code: 'OPTION_INVALID',
  });
  expect([read.bytes, log.opened.length]).toEqual([false, 0]);
});

it('an image too wide for its format is refused before anything is opened', async () => {
  const wide = { width: 16_400, height: 1, channels: 3, data: new Uint8Array(49_200) } as const;
  const png = await (await loadSharpCodec()).encode(wide, { format: 'png' });
  const work = restorer.restoreEncoded(png, { task: 'derain', format: 'webp' });
  await expect(work).rejects.toMatchObject({ code: 'OPTION_INVALID', message: expect.stringMatching(/16383/) });
  expect(log.opened.length).toBe(0);
});

it('what can be written is restored', async () => {
  const { format } = await restorer.restoreEncoded(readImage('rgb.gif'), { task: 'derain', quality: 50 });
  expect([format, log.opened.length]).toEqual(['png', 1]);
});
