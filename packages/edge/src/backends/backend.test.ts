import { loadSharpCodec } from '@elfin/core/node';
import { expect, test } from 'vitest';
import { readImage } from '../../../../test/fixtures/images/read.ts';
import { NO_METRICS } from '../http/metrics.ts';
import { createLadder, createLocalPlace, type Place, type WorkContext } from './backend.ts';

const codec = await loadSharpCodec();
const bytes = readImage('rgb.jpg');
const header = await codec.probe(bytes);
const pixels = header.width * header.height;

const context = (): WorkContext => ({
  signal: new AbortController().signal,
  deadline: Date.now() + 10_000,
  traceparent: '',
  metrics: NO_METRICS,
  spans: new Map(),
  onProgress: () => undefined,
});

/** Who makes the image, of a worker pool and this process in that order. */
async function maker(
  restore: 'derain' | 'none',
  local: { readonly restoresFirst?: boolean; readonly restorePixels?: number } = {},
  up = true,
): Promise<string> {
  let by = '';
  const here = createLocalPlace({ codec, ...local });
  const named = (place: Place): Place => ({
    ...place,
    async make() {
      by = place.name;
      return { bytes, width: header.width, height: header.height };
    },
  });
  const worker = { ...here, name: 'worker', prefers: () => false, restorePixels: 1e9, available: () => up };
  const options = { restore, format: 'png' } as const;
  await createLadder([named(worker), named(here)]).make({ bytes, header, options, firstFrame: false }, context());
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
