import fc from 'fast-check';
import { expect, it } from 'vitest';
import { compareSequencers } from './sequencer.ts';

it('pads the shorter at its right', () => {
  expect(compareSequencers('0055AED6DCD90281E5', '0055AED6DCD90281E5AA')).toBeLessThan(0);
  expect(compareSequencers('0055AED6DCD90281E6', '0055AED6DCD90281E5AA')).toBeGreaterThan(0);
  expect(compareSequencers('00', '0000')).toBe(0);
  expect(compareSequencers('617f08299329d189', '617F08299329D189')).toBe(0);
});

it('is a total order', () => {
  const hex = fc.string({ unit: fc.constantFrom(...'0123456789ABCDEF'), maxLength: 12 });
  fc.assert(
    fc.property(hex, hex, hex, (a, b, c) => {
      expect(compareSequencers(a, b)).toBe(-compareSequencers(b, a) + 0);
      const [low, middle, high] = [a, b, c].sort(compareSequencers) as [string, string, string];
      expect(compareSequencers(low, middle)).toBeLessThanOrEqual(0);
      expect(compareSequencers(low, high)).toBeLessThanOrEqual(0);
    }),
  );
});
