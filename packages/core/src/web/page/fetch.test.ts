import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, expect, it, vi } from 'vitest';
import { fetchFile } from './fetch.ts';

const text = JSON.stringify(Array.from({ length: 20_000 }, (_, i) => i % 7));
const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  vi.unstubAllGlobals();
  await Promise.all(closers.splice(0).map((close) => close()));
});

/** A server that says how long its body is, and sends so much of it. */
async function serve(body: Uint8Array, headers: Record<string, string> = {}, sent = body.length) {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'Content-Length': body.length, ...headers });
    response.write(body.subarray(0, sent), () => (sent < body.length ? response.destroy() : response.end()));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  closers.push(() => new Promise((resolve) => server.close(resolve)));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/manifest.json`;
}

/** What a page sees of another origin's answer: of these headers the length alone, unless the server exposes more. */
function acrossOrigins() {
  const real = globalThis.fetch;
  vi.stubGlobal('fetch', async (...call: Parameters<typeof fetch>) => {
    const response = await real(...call);
    const length = response.headers.get('content-length');
    return new Response(response.body, { ...(length && { headers: { 'content-length': length } }) });
  });
}

it("takes another origin's compressed file, of which the compressed length is all that is known", async () => {
  acrossOrigins();
  const packed = gzipSync(text);
  const seen: { readonly loaded: number; readonly total?: number }[] = [];
  const url = await serve(packed, { 'Content-Encoding': 'gzip' });
  const bytes = await fetchFile(url, { onProgress: (progress) => seen.push(progress) });
  expect(new TextDecoder().decode(bytes)).toBe(text);
  expect(seen.at(-1)).toEqual({ loaded: text.length });
  expect(seen.every(({ loaded, total = loaded }) => loaded <= total)).toBe(true);
});

it('tells the whole length where it is known', async () => {
  const seen: unknown[] = [];
  await fetchFile(await serve(Buffer.from(text)), { onProgress: (progress) => seen.push(progress) });
  expect(seen.at(-1)).toEqual({ loaded: text.length, total: text.length });
});

it('refuses what breaks off', async () => {
  const url = await serve(Buffer.from(text), {}, 1000);
  await expect(fetchFile(url)).rejects.toMatchObject({ code: 'NETWORK_FAILED' });
});
