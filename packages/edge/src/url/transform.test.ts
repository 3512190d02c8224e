import { expect, test } from 'vitest';
import { continueTrace } from '../http/trace.ts';
import { parseTransform } from './parse.ts';
import { parsePresets, planTransform } from './transform.ts';

const presets = parsePresets({ thumb: 'restore=derain,width=320,format=webp,pending=wait' });
const plan = (path: string) =>
  planTransform(parseTransform(`${path}/a.jpg`), { presets, bucket: 'avif', maxSide: 8192 });

test('a preset is laid under the URL’s own options', () => {
  expect(plan('preset=thumb,width=640')).toMatchObject({
    result: { restore: 'derain', width: 640 },
    variant: 'webp',
    pending: 'wait',
    negotiated: false,
    path: 'restore=derain,width=640',
  });
  expect(() => plan('preset=none')).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
});

test('how an answer is given makes no other work of it; what decides the bytes does', () => {
  const same = [
    'restore=derain',
    'restore=derain,pending=423',
    'onerror=redirect,restore=derain,format=auto',
    'restore=derain,dpr=1',
  ];
  expect(new Set(same.map((path) => plan(path).path))).toEqual(new Set(['restore=derain']));
  expect(plan('restore=derain,dpr=2').path).not.toBe(plan('restore=derain').path);
  expect(plan('restore=derain').variant).toBe('avif');
  expect(plan('restore=derain,format=json')).toMatchObject({ variant: 'other', json: true });
});

test('the pixel ratio is multiplied in and capped', () => {
  expect(plan('width=100,height=50,dpr=1.5').result).toEqual({ restore: 'none', width: 150, height: 75 });
  expect(() => plan('width=4000,dpr=3')).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
});

test.each([{ 'Bad Name': 'width=1' }, { a: 'preset=b' }, { a: 'width=0' }, { a: '' }])(
  'the presets %j are refused',
  (bad) => {
    expect(() => parsePresets(bad as Record<string, string>)).toThrow();
  },
);

test('a trace is continued, or begun where the header is not one', () => {
  const caller = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  expect(continueTrace(caller).traceparent).toMatch(/^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01$/);
  expect(continueTrace(caller).traceparent).not.toBe(caller);
  for (const bad of [
    null,
    '',
    'x',
    `ff${caller.slice(2)}`,
    caller.replace(/4bf9[^-]*/, '0'.repeat(32)),
    `${caller}\r\nx: y`,
  ]) {
    expect(continueTrace(bad).traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  }
});
