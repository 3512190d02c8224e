import { expect, test } from 'vitest';
import { ElfinError, ERRORS, isElfinError, throwIfAborted } from '../index.ts';

test('an error carries its code, fault, retry, data and cause', () => {
  const cause = new TypeError('socket closed');
  const error = new ElfinError('NETWORK_FAILED', 'The worker hung up.', { cause, data: { endpoint: 'a' } });
  expect(error).toMatchObject({ code: 'NETWORK_FAILED', fault: 'environment', retry: true, data: { endpoint: 'a' } });
  expect(error.cause).toBe(cause);
});

test('the guard knows errors of another copy of the package and nothing else', () => {
  const foreign = Object.assign(new Error('x'), { [Symbol.for('elfin.error')]: true });
  expect(isElfinError(foreign)).toBe(true);
  expect([new Error('x'), null, undefined, 'x', {}].map(isElfinError)).toEqual([false, false, false, false, false]);
});

test('codes are upper snake case', () => {
  for (const code of Object.keys(ERRORS)) expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
});

test('an aborted signal becomes ABORTED with its reason', () => {
  expect(() => throwIfAborted(AbortSignal.abort('enough'))).toThrow(
    expect.objectContaining({ code: 'ABORTED', cause: 'enough' }),
  );
  expect(throwIfAborted(undefined)).toBeUndefined();
});
