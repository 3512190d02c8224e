import { expect, test } from 'vitest';
import { fuzz } from '../helpers/fuzz-urls.ts';

test('3,000 damaged, hostile and random URLs are 4xx with a code, without a stack', async () => {
  const { bad, statuses } = await fuzz({ cases: 3000 });
  expect(bad).toEqual([]);
  expect(Object.keys(statuses).every((status) => status.startsWith('4'))).toBe(true);
});
