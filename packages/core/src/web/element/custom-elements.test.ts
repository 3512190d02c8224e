import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ElfinImageElement } from './elfin-image.ts';
import type { ElfinImageEventMap, ElfinImageState } from './events.ts';
import { COMPARE_STYLE } from './style.ts';

const read = (name: string) => JSON.parse(readFileSync(new URL(`../../../${name}`, import.meta.url), 'utf8'));
const names = (list: readonly { readonly name: string }[]) => list.map(({ name }) => name).toSorted();
const [element] = read('custom-elements.json').modules[0].declarations;
// Written out so that the compiler holds them against the types.
const EVENTS: Record<keyof ElfinImageEventMap, true> = {
  load: true,
  error: true,
  'elfin-statechange': true,
  'elfin-progress': true,
  'elfin-done': true,
  'elfin-error': true,
};
const STATES: Record<ElfinImageState, true> = {
  idle: true,
  waiting: true,
  loading: true,
  queued: true,
  restoring: true,
  restored: true,
  untouched: true,
  failed: true,
};

test('the manifest of custom elements says what the element has, and the class can be loaded where no page is', () => {
  expect(read('package.json').customElements).toBe('./custom-elements.json');
  expect(names(element.attributes)).toEqual([...ElfinImageElement.observedAttributes].toSorted());
  expect(names(element.events)).toEqual(Object.keys(EVENTS).toSorted());
  expect(names(element.cssStates)).toEqual(Object.keys(STATES).toSorted());
  expect(names(element.cssProperties)).toEqual([...new Set(COMPARE_STYLE.match(/--elfin-[a-z-]+/g))].toSorted());
  const chain = [ElfinImageElement.prototype, Object.getPrototypeOf(ElfinImageElement.prototype)];
  const own = new Set(chain.flatMap((prototype) => Object.getOwnPropertyNames(prototype)));
  const ofPlatform = ['constructor', 'addEventListener'];
  const due = [...own].filter((name) => !/Callback$/.test(name) && !ofPlatform.includes(name));
  expect(names(element.members)).toEqual(due.toSorted());
});
