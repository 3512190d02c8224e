import { cp, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRestorer, loadSharpCodec } from '@elfin/core/node';
import { parseTransform } from '@elfin/edge';
import { type Server, serve } from '@elfin/edge/node';
import { createModels } from '@elfin/models/node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HOSTILE } from '../fixtures/images/hostile.ts';
import { readImage } from '../fixtures/images/read.ts';
import { elfin } from '../helpers/cli.ts';
import { startElfin } from '../helpers/elfin-process.ts';

let folder = '';
let server: Server;
const keys = `k1:${'0a'.repeat(32)}`;
const models = createModels();
const images = new URL('../fixtures/images/', import.meta.url);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-serve-'));
  for (const name of ['rgb.jpg', 'metadata.jpg', 'orientation-6.jpg', ...HOSTILE.map(({ file }) => file)]) {
    await cp(new URL(name, images), join(folder, 'photos', name));
  }
  server = await serve({
    port: 0,
    root: join(folder, 'photos'),
    models,
    env: { ELFIN_URL_KEYS: keys, ELFIN_STORE: join(folder, 'results'), ELFIN_SYNC_WAIT_MS: '55000' },
    edge: { dev: true },
  });
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

async function get(options: string, source: string, init?: RequestInit): Promise<Response> {
  const path = await server.edge.signer?.sign(parseTransform(`${options}/${encodeURIComponent(source)}`));
  return fetch(server.url + path, init);
}

test('a photo in a folder is restored by URL with the bundled model, as the SDK restores it', async () => {
  const response = await get('restore=derain,format=png', 'rgb.jpg');
  expect([response.status, response.headers.get('restore-status'), response.headers.get('content-type')]).toEqual([
    200,
    'restored',
    'image/png',
  ]);
  const { name } = await models.resolve('derain', 'lw');
  expect(response.headers.get('elfin-info')).toContain(`rt=${name}`);
  const codec = await loadSharpCodec();
  const shown = await codec.decode(new Uint8Array(await response.arrayBuffer()));
  await using restorer = createRestorer({ models, codec });
  const { image } = await restorer.restore(readImage('rgb.jpg'), { task: 'derain' });
  expect(Buffer.compare(Buffer.from(shown.data), Buffer.from(image.data as Uint8Array))).toBe(0);
  const again = await get('restore=derain,format=png', 'rgb.jpg');
  expect(again.headers.get('elfin-info')).toContain('cache=hit');
});

test('orientation is applied, and GPS leaves unless metadata is kept', async () => {
  const codec = await loadSharpCodec();
  const turned = codec.probe(
    new Uint8Array(await (await get('restore=none,format=jpeg', 'orientation-6.jpg')).arrayBuffer()),
  );
  const { width, height } = await codec.probe(readImage('orientation-6.jpg'));
  expect(await turned).toMatchObject({ width, height, orientation: 1 });
  const plain = Buffer.from(await (await get('restore=none,format=jpeg', 'metadata.jpg')).arrayBuffer());
  const kept = Buffer.from(await (await get('restore=none,format=jpeg,metadata=keep', 'metadata.jpg')).arrayBuffer());
  expect([plain.includes('Exif'), kept.includes('Exif')]).toEqual([false, true]);
});

test('a model that is not there is the caller’s mistake, told as the source with a reason', async () => {
  const response = await get('restore=underwater,model=full,format=jpeg', 'rgb.jpg');
  expect([response.status, response.headers.get('elfin-error')]).toEqual([422, 'MODEL_UNKNOWN']);
});

test('hostile images are refused with their code, and the server lives on', async () => {
  const answers = await Promise.all(
    HOSTILE.map(async ({ file, code }) => {
      const response = await get('restore=derain,width=20,pending=wait', file);
      return {
        file,
        code,
        got: response.headers.get('elfin-error'),
        status: response.status,
        body: await response.text(),
      };
    }),
  );
  expect(answers.length).toBeGreaterThanOrEqual(40);
  for (const { file, code, got, status, body } of answers) {
    expect(got, file).toBe(code);
    expect(status >= 400 && status < 500, `${file}: ${status}`).toBe(true);
    expect(body, file).not.toMatch(/\bat .*\.(ts|js)|node_modules/);
  }
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
});

test('metrics, the playground and its signer are there', async () => {
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  expect(metrics).toMatch(/elfin_requests_total\{status="200",task="derain"\} [1-9]/);
  for (const name of [
    'elfin_request_duration_seconds_bucket',
    'elfin_span_duration_seconds_sum{span="infer"}',
    'elfin_queue_depth{lane="network"} 0',
    'elfin_cache_total{result="hit"}',
  ]) {
    expect(metrics).toContain(name);
  }
  const page = await fetch(server.url);
  expect([page.status, page.headers.get('content-security-policy')?.includes('sha256-')]).toEqual([200, true]);
  const signed = await (
    await fetch(`${server.url}/_playground/sign?options=restore%3Dnone,width%3D10&source=rgb.jpg`)
  ).text();
  expect((await fetch(server.url + signed)).status).toBe(200);
});

test('metrics and health have a port of their own if asked', async () => {
  const other = await serve({
    port: 0,
    env: { ELFIN_URL_KEYS: keys, ELFIN_STORE: join(folder, 'apart'), ELFIN_METRICS_PORT: '0' },
  });
  const status = async (url: string) => (await fetch(url)).status;
  expect([await status(`${other.url}/metrics`), await status(`${other.url}/livez`)]).toEqual([404, 200]);
  expect(await (await fetch(`${other.metricsUrl}/metrics`)).text()).toContain('elfin_queue_depth{lane="network"} 0');
  expect([await status(`${other.metricsUrl}/readyz`), await status(`${other.metricsUrl}/openapi.json`)]).toEqual([
    200, 404,
  ]);
  await other.close();
});

test('a folder that is not there is refused in one line, and requests are written down', async () => {
  const env = { ELFIN_URL_KEYS: keys, ELFIN_STORE: join(folder, 'logged') };
  for (const root of [join(folder, 'nowhere'), join(folder, 'photos', 'rgb.jpg')]) {
    await expect(serve({ port: 0, root, env })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  }
  const running = await startElfin(['serve', join(folder, 'photos'), '--port', '0', '--device', 'cpu'], {
    ...env,
    ELFIN_LOG: 'json',
    ELFIN_UNSAFE: '1',
  });
  const response = await fetch(`${running.url}/i/restore=none,width=9/rgb.jpg?sig=secret`);
  expect([response.status, response.headers.get('elfin-request-id')]).toEqual([403, expect.stringMatching(/^.{36}$/)]);
  await running.stop();
});

test('an http source is fetched through checks at connect: loopback is refused although it is listed', async () => {
  const origin = createServer((_, response) => response.end(readImage('rgb.jpg')));
  await new Promise<void>((listening) => origin.listen(0, '127.0.0.1', listening));
  const { port } = origin.address() as AddressInfo;
  const open = async (extra: Record<string, string>) => {
    const env = {
      ELFIN_URL_KEYS: keys,
      ELFIN_STORE: join(folder, `results-${Object.keys(extra).length}`),
      ELFIN_SOURCES: `http://localhost:${port}`,
      ...extra,
    };
    return serve({ port: 0, env });
  };
  for (const [extra, status] of [
    [{}, 403],
    [{ ELFIN_PRIVATE_SOURCES: '127.0.0.0/8,::1/128' }, 200],
  ] as const) {
    const other = await open(extra);
    const path = await other.edge.signer?.sign(
      parseTransform(`restore=none,format=png/${encodeURIComponent(`http://localhost:${port}/a.jpg`)}`),
    );
    expect((await fetch(other.url + path)).status).toBe(status);
    await other.close();
  }
  await new Promise((closed) => origin.close(closed));
});

test('configuration that cannot hold is refused at start', async () => {
  const at = (env: Record<string, string>) => serve({ port: 0, env: { ELFIN_STORE: join(folder, 'results'), ...env } });
  await expect(at({})).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('ELFIN_URL_KEYS'),
  });
  await expect(at({ ELFIN_URL_KEYS: 'k1:secret' })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.not.stringContaining('secret'),
  });
  await expect(at({ ELFIN_URL_KEYS: keys, ELFIN_MAX_SRC_BYTES: 'many' })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
  });
  await expect(at({ ELFIN_URL_KEYS: keys, ELFIN_STORE: 's3://bucket' })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
  });
  const taken = Number(new URL(server.url).port);
  await expect(
    serve({ port: taken, env: { ELFIN_URL_KEYS: keys, ELFIN_STORE: join(folder, 'results') } }),
  ).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});

test('elfin serve takes its port from PORT, and a flag before it', async () => {
  const { port } = new URL(server.url);
  for (const [words, env] of [
    [[], { PORT: '0' }],
    [['--port', '0'], { PORT: port }],
  ] as const) {
    const running = await startElfin(['serve', '--dev', '--device', 'cpu', ...words], {
      ...env,
      ELFIN_STORE: join(folder, 'ports'),
    });
    expect(['8080', port]).not.toContain(new URL(running.url).port);
    expect(await running.stop()).toBe(0);
  }
  for (const wrong of ['http', '65536'])
    expect(await elfin(['serve', '--dev'], { env: { PORT: wrong } })).toMatchObject({
      code: 2,
      stderr: `elfin: PORT is 0…65535, not "${wrong}". [OPTION_INVALID]\n`,
    });
});
