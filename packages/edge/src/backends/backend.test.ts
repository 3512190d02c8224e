import { loadSharpCodec } from '@elfin/core/node';
import { expect, test } from 'vitest';
import { readImage } from '../../../../test/fixtures/images/read.ts';
import { workContext } from '../../../../test/helpers/work-context.ts';
import type { Backend } from './backend.ts';
import { createFallback } from './fallback.ts';
import { createLocalBackend } from './local.ts';

const codec = await loadSharpCodec();
const bytes = readImage('rgb.jpg');
const header = await codec.probe(bytes);
const pixels = header.width * header.height;

const context = () => workContext();

/** Who makes the image, of a worker pool and this process in that order. */
async function maker(
  restore: 'derain' | 'none',
  local: { readonly restoresFirst?: boolean; readonly restorePixels?: number } = {},
  up = true,
): Promise<string> {
  let by = '';
  const here = createLocalBackend({ codec, ...local });
  const named = (backend: Backend): Backend => ({
    ...backend,
    async make() {
      by = backend.name;
      return { bytes, width: header.width, height: header.height };
    },
  });
  const worker = { ...here, name: 'worker', prefers: () => false, restorePixels: 1e9, available: () => up };
  const options = { restore, format: 'png' } as const;
  await createFallback([named(worker), named(here)]).make({ bytes, header, options, firstFrame: false }, context());
  return by;
}

test('networks run on workers first; what is only fitted and encoded is done here', async () => {
  expect([await maker('derain'), await maker('none'), await maker('derain', {}, false)]).toEqual([
    'worker',
    'local',
    'local',
  ]);
});

test('an isolate restores what fits into it, and asks workers for the rest', async () => {
  expect(await maker('derain', { restoresFirst: true, restorePixels: pixels })).toBe('local');
  expect(await maker('derain', { restoresFirst: true, restorePixels: pixels - 1 })).toBe('worker');
});
