import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { awaitRestored } from './client.ts';

const servers: { close: () => void }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Answers each request with the next of `answers`, the last one for ever. */
async function answering(...answers: ((response: ServerResponse) => unknown)[]) {
  const paths: string[] = [];
  const server = createServer((request, response) => {
    paths.push(request.url ?? '');
    answers[Math.min(paths.length, answers.length) - 1]?.(response);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  servers.push({
    close() {
      server.closeAllConnections();
      server.close();
    },
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/i/x`, paths };
}

const soon = { 'retry-after': '0' };
const image = (response: ServerResponse) =>
  response.writeHead(200, { 'restore-status': 'restored', 'content-type': 'image/png' }).end('done');

test('waits past an interim image, which it shows once, a lock and a busy server', async () => {
  const interim = (response: ServerResponse) =>
    response
      .writeHead(200, { ...soon, 'restore-status': 'pending;job="a"', 'content-type': 'image/png' })
      .end('interim');
  const status = (code: number) => (response: ServerResponse) =>
    response.writeHead(code, { ...soon, 'elfin-error': 'PENDING' }).end();
  const { url, paths } = await answering(interim, interim, status(423), status(503), status(429), image);
  const shown: Promise<string>[] = [];
  const response = await awaitRestored(url, { onInterim: (one) => shown.push(one.text()) });
  expect(await response.text()).toBe('done');
  expect(await Promise.all(shown)).toEqual(['interim']);
  expect(paths).toHaveLength(6);
});

test('follows a job to its result, and a failed one to its code', async () => {
  const accepted = (response: ServerResponse) =>
    response.writeHead(202, { ...soon, location: '/jobs/abc?to=%2Fi%2Fx' }).end('{}');
  const state = (body: object) => (response: ServerResponse) =>
    response.writeHead(200, { ...soon, 'content-type': 'application/json' }).end(JSON.stringify(body));
  const done = (response: ServerResponse) =>
    response.writeHead(303, { location: '/i/x?sig=1', 'content-type': 'application/json' }).end('{}');
  const { url, paths } = await answering(accepted, state({ state: 'running' }), done, image);
  expect(await (await awaitRestored(url)).text()).toBe('done');
  expect(paths).toEqual(['/i/x', '/jobs/abc?to=%2Fi%2Fx', '/jobs/abc?to=%2Fi%2Fx', '/i/x?sig=1']);
  const untold = await answering(accepted, state({ state: 'running' }), state({ state: 'done' }), image);
  expect(await (await awaitRestored(untold.url)).text()).toBe('done');
  expect(untold.paths.at(-1)).toBe('/i/x');
  const failing = await answering(accepted, state({ state: 'failed', error: { code: 'IMAGE_CORRUPT' } }));
  await expect(awaitRestored(failing.url)).rejects.toMatchObject({ code: 'IMAGE_CORRUPT' });
});

test('a refusal is the server’s code; degraded is an answer; time and the caller end the waiting', async () => {
  const refused = await answering((response) => response.writeHead(403, { 'elfin-error': 'SIGNATURE_INVALID' }).end());
  await expect(awaitRestored(refused.url)).rejects.toMatchObject({ code: 'SIGNATURE_INVALID', data: { status: 403 } });
  const degraded = await answering((response) =>
    response.writeHead(200, { 'restore-status': 'degraded;reason=busy' }).end('source'),
  );
  expect((await awaitRestored(degraded.url)).headers.get('restore-status')).toContain('degraded');
  const slow = await answering((response) => response.writeHead(423, { 'retry-after': '30' }).end());
  await expect(awaitRestored(slow.url, { timeout: 60 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  await expect(awaitRestored(slow.url, { signal: AbortSignal.timeout(60) })).rejects.toMatchObject({ code: 'ABORTED' });
  await expect(awaitRestored('http://127.0.0.1:1/')).rejects.toMatchObject({ code: 'NETWORK_FAILED' });
});
