import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatRestoreStatus, parseRestoreStatus, type RestoreStatus } from './status.ts';

const printable = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)) });
const word = fc.stringMatching(/^[A-Za-z*][A-Za-z0-9:/!#$%&'*+.^_`|~-]{0,20}$/);
const statuses: fc.Arbitrary<RestoreStatus> = fc.oneof(
  fc.constantFrom<RestoreStatus>({ state: 'restored' }, { state: 'passthrough' }),
  fc.record({ state: fc.constant('degraded' as const), reason: word }),
  fc.record(
    { state: fc.constant('pending' as const), job: printable, eta: fc.integer({ min: 0, max: 86_400 }) },
    { requiredKeys: ['state'] },
  ),
);

test('reads as in the contract', () => {
  expect(formatRestoreStatus({ state: 'pending', job: 'a1', eta: 3.2 })).toBe('pending;job="a1";eta=4');
  expect(formatRestoreStatus({ state: 'degraded', reason: 'busy' })).toBe('degraded;reason=busy');
  expect(formatRestoreStatus({ state: 'restored' })).toBe('restored');
  expect(parseRestoreStatus('pending; job="a1"; eta=3')).toEqual({ state: 'pending', job: 'a1', eta: 3 });
});

test('what is written is read back', () => {
  fc.assert(
    fc.property(statuses, (status) => {
      expect(parseRestoreStatus(formatRestoreStatus(status))).toEqual(status);
    }),
  );
});

test('unknown parameters are passed over', () => {
  expect(parseRestoreStatus('restored; tiles=12; by=?1')).toEqual({ state: 'restored' });
});

test.each([
  null,
  undefined,
  '',
  'Restored',
  '"restored"',
  'restored, restored',
  'restored;',
  'done',
  'degraded',
  'degraded; reason="busy"',
  'degraded; reason',
  'pending; job=a1',
  'pending; eta="3"',
  'pending; eta=-1',
  'pending; eta=1.5',
  'pending; eta',
  'pending; job="a',
])('refuses %j', (value) => {
  expect(parseRestoreStatus(value)).toBeUndefined();
});

test('no text whatever makes the reader throw, and what it reads can be written again', () => {
  const noise = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc
      .tuple(fc.constantFrom('restored', 'pending', 'degraded', 'passthrough'), fc.string({ unit: 'binary-ascii' }))
      .map(([state, rest]) => state + rest),
  );
  fc.assert(
    fc.property(noise, (text) => {
      const status = parseRestoreStatus(text);
      if (status) expect(parseRestoreStatus(formatRestoreStatus(status))).toEqual(status);
    }),
    { numRuns: 2000 },
  );
});

test('refuses to write what the header cannot carry', () => {
  for (const status of [
    { state: 'degraded', reason: 'two words' },
    { state: 'degraded', reason: 'x\r\nSet-Cookie: a=b' },
    { state: 'pending', job: 'ü' },
    { state: 'pending', eta: -1 },
    { state: 'pending', eta: Number.NaN },
  ] as const) {
    expect(() => formatRestoreStatus(status)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
  }
});
