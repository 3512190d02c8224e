import type { Codec } from '@elfin/core';
import { createResultStore } from '@elfin/edge';
import type { ObjectStore } from '@elfin/storage';
import { apart, type Pictures, WIDTHS } from './pictures.ts';

export interface Expected {
  readonly index: number;
  readonly width: number;
  readonly restore: 'derain' | 'none';
  readonly forged: boolean;
  readonly method: string;
}

/** Another processor's rounding may differ by one step; another picture differs by far more. */
const ROUNDING = 1;

/** Holds one answer against what was asked: `mistake` where it is not what it says it is. */
export async function checkAnswer(
  response: Response,
  bytes: Uint8Array,
  expected: Expected,
  pictures: Pictures,
  codec: Codec,
): Promise<{ readonly label: string; readonly mistake?: string }> {
  const { headers, status } = response;
  const state = headers.get('restore-status')?.split(';')[0] ?? '';
  const label = `${status} ${state || (headers.get('elfin-error') ?? '')}`;
  const mistake = (why: string) => ({ label, mistake: why });
  if (expected.forged) return status === 403 ? { label } : mistake('a forged URL was answered');
  const final = state === 'restored' || state === 'passthrough';
  const cacheable = headers.get('cache-control') !== 'no-store' || headers.has('etag');
  if (!final && status < 400 && cacheable) return mistake('an interim body may be cached');
  if (!final && status >= 500 && cacheable) return mistake('a failure may be cached');
  if (status >= 400 && !headers.has('elfin-error')) return mistake('a failure has no code');
  if (status !== 200) return { label };
  if (expected.method === 'HEAD') return bytes.length === 0 ? { label } : mistake('HEAD has a body');
  if (state === 'passthrough' && expected.restore !== 'none') return mistake('what was asked was not restored');
  const shown = state === 'restored' ? 'derain' : 'none';
  const image = await codec.decode(bytes).catch(() => undefined);
  if (!image) return mistake('the body is no whole image');
  const difference = apart(image, pictures.expected(expected.index, shown, expected.width));
  return difference <= ROUNDING ? { label } : mistake(`the body is another image, by ${difference}`);
}

/** Looks at everything that was kept: under each ref must lie the very result that it names. */
export async function auditStore(store: ObjectStore, pictures: Pictures, codec: Codec, origin: string) {
  const results = createResultStore(store);
  const wrong: string[] = [];
  let checked = 0;
  for (let index = 0; index < pictures.sources.length; index++) {
    for (const restore of ['derain', 'none'] as const) {
      for (const width of WIDTHS) {
        const path = `restore=${restore},width=${width}`;
        const ref = await results.getRef({ source: `${origin}/${index}`, path, variant: 'png' });
        const result = ref && (await results.getResult(ref.key));
        if (!result) continue;
        checked += 1;
        const difference = apart(await codec.decode(result.bytes), pictures.expected(index, restore, width));
        if (difference > ROUNDING) wrong.push(`kept ${path}/${index}: another image, by ${difference}`);
      }
    }
  }
  return { results: checked, wrong };
}
