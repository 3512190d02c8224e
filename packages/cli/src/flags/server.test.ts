import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { portFlag } from './server.ts';

beforeEach(() => vi.stubEnv('PORT', undefined));
afterEach(() => vi.unstubAllEnvs());

test('the flag, else PORT, else what the verb says', () => {
  expect(portFlag(undefined, 8080)).toBe(8080);
  vi.stubEnv('PORT', '');
  expect(portFlag(undefined, 8080)).toBe(8080);
  vi.stubEnv('PORT', '9000');
  expect([portFlag(undefined, 8080), portFlag('0', 8080), portFlag('65535', 8080)]).toEqual([9000, 0, 65_535]);
});

test.each(['', ' ', '65536', '-1', '80.5', '8e3', '0x50', 'http'])('%j is no port', (text) => {
  expect(() => portFlag(text, 8080)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
  expect(() => portFlag(text, 8080)).toThrow(`--port is 0…65535, not "${text}"`);
  vi.stubEnv('PORT', text);
  if (text !== '') expect(() => portFlag(undefined, 8080)).toThrow(`PORT is 0…65535, not "${text}"`);
});
