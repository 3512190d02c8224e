import { ElfinError, type ElfinErrorCode, ERRORS } from '@elfin/core';
import { expect, test } from 'vitest';
import { errorResponse, statusOf } from './errors.ts';

test('every code of the closed table has a status, and 5xx never says who is to blame but the server', () => {
  for (const code of Object.keys(ERRORS) as ElfinErrorCode[]) {
    const status = statusOf(code);
    expect(status, code).toBeGreaterThanOrEqual(400);
    expect(status, code).toBeLessThan(600);
    if (
      code.startsWith('IMAGE_') ||
      code.startsWith('URL_') ||
      code.startsWith('SIGNATURE_') ||
      code === 'OPTION_INVALID'
    ) {
      expect(status, code).toBeLessThan(500);
    }
  }
});

test('an error is RFC 9457 with its code in a header; a stranger’s error tells nothing', async () => {
  const known = errorResponse(new ElfinError('URL_INVALID', 'The source is empty.'));
  expect(known.status).toBe(400);
  expect(known.headers.get('content-type')).toBe('application/problem+json');
  expect(known.headers.get('elfin-error')).toBe('URL_INVALID');
  expect(known.headers.get('cache-control')).toBe('public, max-age=60');
  expect(await known.json()).toEqual({
    type: 'urn:elfin:error:URL_INVALID',
    title: 'url invalid',
    status: 400,
    detail: 'The source is empty.',
    code: 'URL_INVALID',
  });
  const stranger = errorResponse(new TypeError('secret of /etc/passwd at line 5'));
  expect(stranger.status).toBe(500);
  expect(stranger.headers.get('cache-control')).toBe('no-store');
  expect(await stranger.text()).not.toContain('secret');
  const inside = errorResponse(new ElfinError('STORE_FAILED', 'bucket internal-name answered 500'));
  expect([inside.status, inside.headers.get('retry-after')]).toEqual([503, '2']);
  expect(await inside.text()).not.toContain('internal-name');
});

test('a known wait is told', () => {
  expect(
    errorResponse(new ElfinError('RATE_LIMITED', 'Slow down.', { data: { retryAfter: 7.2 } })).headers.get(
      'retry-after',
    ),
  ).toBe('8');
  expect(errorResponse(new DOMException('late', 'TimeoutError')).status).toBe(504);
});
