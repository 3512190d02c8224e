import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chooseWorkingSize } from './working-size.ts';

const derain = { task: 'derain' } as const;
const side = fc.integer({ min: 1, max: 20_000 });

test.each([
  [480, 320, 480, 320],
  [1224, 918, 1224, 918],
  [1500, 1000, 1500, 1000],
  [2400, 1600, 1080, 720],
  [4000, 3000, 980, 735],
  [8660, 5773, 1529, 1019],
  [20_000, 300, 20_000, 300],
  [300, 20_000, 300, 20_000],
  [5000, 1, 5000, 1],
])('%i × %i is seen at %i × %i by auto', (width, height, w, h) => {
  expect(chooseWorkingSize({ width, height }, derain)).toMatchObject({ width: w, height: h });
});

test('auto never enlarges, keeps proportions, and says why', () => {
  fc.assert(
    fc.property(side, side, fc.constantFrom('derain', 'lowlight', 'underwater'), (width, height, task) => {
      const size = chooseWorkingSize({ width, height }, { task } as const);
      expect(size.width).toBeLessThanOrEqual(width);
      expect(size.height).toBeLessThanOrEqual(height);
      expect(Math.abs(size.width / width - size.height / height)).toBeLessThan(2 / Math.min(size.width, size.height));
      expect(size.reason).toMatch(/^(full size: |shrunk \d+\.\d times: )/);
    }),
  );
});

test('the manifest decides what a model takes', () => {
  const large = { width: 4000, height: 3000 };
  expect(chooseWorkingSize(large, { task: 'lowlight' })).toMatchObject(large);
  const trained = { sides: [320, 1280], shrink: 8 } as const;
  expect(chooseWorkingSize(large, { task: 'lowlight', trained })).toMatchObject({ height: 1120 });
  expect(chooseWorkingSize({ width: 1600, height: 1600 }, { ...derain, trained })).toMatchObject({ height: 1600 });
});

test('what is asked for is taken, unless it is more than there is', () => {
  const photo = { width: 1600, height: 1200 };
  expect(chooseWorkingSize(photo, derain, 'full')).toMatchObject(photo);
  expect(chooseWorkingSize(photo, derain, 600)).toMatchObject({ width: 800, height: 600, reason: 'as asked' });
  expect(chooseWorkingSize(photo, derain, 1200)).toMatchObject(photo);
  expect(() => chooseWorkingSize(photo, derain, 1201)).toThrow(
    'resolution must be at most 1200, the short side of this picture, not 1201; take auto or full.',
  );
});
