import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Listening, listen } from './listen.ts';

let listening: Listening;
const asked: string[] = [];
beforeAll(async () => {
  listening = await listen({
    host: '127.0.0.1',
    port: 0,
    fetch: (request) => {
      asked.push(new URL(request.url).pathname);
      return new Response('answered');
    },
  });
});
afterAll(() => listening.close());

/** What a server answers to bytes that no client library would send. */
function raw(bytes: string): Promise<string> {
  const { port, hostname } = new URL(listening.url);
  return new Promise((done, failed) => {
    let text = '';
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    socket.on('data', (data) => {
      text += data;
    });
    socket.on('close', () => done(text));
    socket.on('error', failed);
  });
}
const get = (target: string, headers = '') =>
  raw(`GET ${target} HTTP/1.1\r\nhost: img.example\r\n${headers}connection: close\r\n\r\n`);

test.each([
  '/i/../metrics',
  '/i/%2e%2e/metrics',
  '/i/.%2E/metrics',
  '/./metrics',
  '/i/..',
  'http://img.example/i/../metrics',
])('%s is refused as it is spelled, and reaches no route', async (target) => {
  asked.length = 0;
  const text = await get(target);
  expect(text).toMatch(/^HTTP\/1\.1 400 /);
  expect(text.toLowerCase()).toContain('elfin-error: url_invalid');
  expect(asked).toEqual([]);
});

test.each(['/metrics', '/i/a=b/x..y', '/i/a=b/..a?to=/i/../x', '/i/a=b/%2E%2Ea', '/i/restore=none/photos%2F..%2Fa'])(
  '%s has no dot segment',
  async (target) => {
    asked.length = 0;
    expect(await get(target)).toMatch(/^HTTP\/1\.1 200 /);
    expect(asked).toHaveLength(1);
  },
);

test('what the parser gives up on is a typed 4xx', async () => {
  const long = await get(`/i/${'a'.repeat(20_000)}`);
  expect(long).toMatch(/^HTTP\/1\.1 414 /);
  expect(JSON.parse(long.slice(long.indexOf('\r\n\r\n')))).toMatchObject({ code: 'URL_TOO_LONG', status: 414 });
  const headers = await get('/', `x: ${'a'.repeat(20_000)}\r\n`);
  expect(headers).toMatch(/^HTTP\/1\.1 414 /);
  const noise = await raw('nonsense\r\n\r\n');
  expect(noise).toMatch(/^HTTP\/1\.1 400 /);
  expect(noise.toLowerCase()).toContain('elfin-error: url_invalid');
  expect((await fetch(listening.url)).status).toBe(200);
});
