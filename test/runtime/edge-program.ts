import { describe } from 'vitest';
import { testAnswers } from './edge/answers.ts';
import { testAround } from './edge/around.ts';
import { testFailures } from './edge/failures.ts';
import { testOnce } from './edge/once.ts';
import { testPending } from './edge/pending.ts';
import { testRefusals } from './edge/refusals.ts';
import { type Runtime, setUpEdge } from './edge/set-up.ts';

/** The tests that an edge passes in every runtime, through its public face, with the runtime's own codec and store. */
export function edgeProgram(name: string, runtime: Runtime): void {
  const scene = { ...runtime, setUp: (options = {}) => setUpEdge(runtime, options) };
  describe(`edge in ${name}: answers`, () => testAnswers(scene));
  describe(`edge in ${name}: one restoration`, () => testOnce(scene));
  describe(`edge in ${name}: refusals`, () => testRefusals(scene));
  describe(`edge in ${name}: work that takes long`, () => testPending(scene));
  describe(`edge in ${name}: when things fail`, () => testFailures(scene));
  describe(`edge in ${name}: around it`, () => testAround(scene));
}
