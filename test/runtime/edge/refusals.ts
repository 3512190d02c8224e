import { ElfinError } from '@elfin/core';
import { createEdge, type Edge } from '@elfin/edge';
import { createMemoryStore } from '@elfin/storage';
import { expect, test } from 'vitest';
import { createOrigin, ORIGIN, picture } from './scene.ts';
import { problem, type Scene } from './set-up.ts';

/** What is refused, with which code, and before which work. */
export function testRefusals(scene: Scene): void {
  const { codec, setUp } = scene;
  test('unsigned, mis-signed, expired, malformed and looping requests', async () => {
    const { edge, url, origin } = await setUp();
    const signed = await url('restore=derain/rain.png');
    const at = async (path: string, init?: RequestInit) => problem(await edge.app.request(path, init));
    expect(await at(signed.split('?')[0] as string)).toEqual([403, 'SIGNATURE_INVALID']);
    expect(await at(signed.replace('derain', 'lowlight'))).toEqual([403, 'SIGNATURE_INVALID']);
    expect(await at(signed.replace('rain.png', 'other.png'))).toEqual([403, 'SIGNATURE_INVALID']);
    for (const other of [`${signed}&x=1`, `${signed}&`, signed.replace('sig=', '%73ig=')])
      expect(await at(other)).toEqual([400, 'URL_INVALID']);
    expect(await at(signed.replace('restore=derain', 'restore=derain,restore=derain'))).toEqual([
      400,
      'OPTION_INVALID',
    ]);
    expect(await at(signed, { headers: { 'elfin-hop': '1' } })).toEqual([508, 'LOOP_DETECTED']);
    expect(await at(signed, { method: 'POST' })).toEqual([405, 'METHOD_UNSUPPORTED']);
    expect(await at('/nowhere')).toEqual([404, 'ROUTE_UNKNOWN']);
    expect(origin.state.reads).toBe(0);
    const old = await (edge.signer as NonNullable<Edge['signer']>).sign(
      { options: { restore: 'derain' }, source: `${ORIGIN}/rain.png` },
      { ttl: 1, window: 1, now: Date.now() - 10_000 },
    );
    expect(await at(old)).toEqual([410, 'SIGNATURE_EXPIRED']);
    expect(origin.state.reads).toBe(0);
  });

  test('sources: not allowed, missing, broken, too large, no image', async () => {
    const { edge, get, origin } = await setUp({
      caps: { sourceBytes: 50_000, sourcePixels: 10_000, resultSide: 200 },
    });
    const signer = edge.signer as NonNullable<Edge['signer']>;
    const elsewhere = await signer.sign({ options: { restore: 'none' }, source: 'https://evil.example/a.png' });
    expect(await problem(await edge.app.request(elsewhere))).toEqual([403, 'SOURCE_FORBIDDEN']);
    const put = (bytes: Uint8Array) => origin.objects.set('/x', { bytes, etag: `"${bytes.length}"` });
    const of = async (bytes: Uint8Array) => {
      put(bytes);
      return problem(await get('restore=none/x'));
    };
    expect(await problem(await get('restore=none/missing.png'))).toEqual([404, 'SOURCE_MISSING']);
    expect(await of(new Uint8Array(50_001))).toEqual([413, 'IMAGE_TOO_MANY_BYTES']);
    expect(await of(new Uint8Array())).toEqual([422, 'IMAGE_EMPTY']);
    expect(
      await of(new TextEncoder().encode('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')),
    ).toEqual([415, 'IMAGE_UNSUPPORTED']);
    expect(await of(new TextEncoder().encode('<!doctype html><p>not found</p>'))).toEqual([415, 'IMAGE_UNSUPPORTED']);
    expect(await of(await codec.encode(picture(128, 96), { format: 'png' }))).toEqual([422, 'IMAGE_TOO_MANY_PIXELS']);
    expect(await of(await codec.encode(picture(250, 10), { format: 'png' }))).toEqual([422, 'IMAGE_TOO_MANY_PIXELS']);
    // Neither a result beyond the limit, nor one that is cut out of something far larger.
    put(await codec.encode(picture(190, 2), { format: 'png' }));
    expect(await problem(await get('restore=none,height=150,fit=contain/x'))).toEqual([422, 'IMAGE_TOO_MANY_PIXELS']);
    expect(await problem(await get('restore=none,width=100,height=100,fit=cover/x'))).toEqual([
      422,
      'IMAGE_TOO_MANY_PIXELS',
    ]);
    expect((await get('restore=none,width=100,height=100/x')).status).toBe(200);
    const whole = await codec.encode(picture(64, 48), { format: 'png' });
    expect(await of(whole.slice(0, whole.length / 2))).toEqual([422, 'IMAGE_TRUNCATED']);
    origin.state.down = new ElfinError('SOURCE_TIMEOUT', 'The source did not answer in time.');
    expect(await of(whole)).toEqual([504, 'SOURCE_TIMEOUT']);
  });

  test('onerror=redirect leads to the source, and never for a refused URL', async () => {
    const { get, edge, origin } = await setUp();
    origin.objects.set('/x', { bytes: new TextEncoder().encode('nothing'), etag: '"x"' });
    const response = await get('restore=none,onerror=redirect/x');
    expect([response.status, response.headers.get('location'), response.headers.get('cache-control')]).toEqual([
      302,
      `${ORIGIN}/x`,
      'no-store',
    ]);
    const unsigned = await edge.app.request(
      `/i/onerror=redirect,restore=none/${encodeURIComponent('https://evil.example/')}`,
    );
    expect([unsigned.status, unsigned.headers.get('location')]).toEqual([403, null]);
  });

  test('presets may go unsigned where the rules say so', async () => {
    const { edge } = await setUp({
      presets: { thumb: 'restore=derain,format=png' },
      unsigned: { presets: ['thumb'], widths: [32], sources: [ORIGIN] },
    });
    const source = encodeURIComponent(`${ORIGIN}/rain.png`);
    expect((await edge.app.request(`/i/preset=thumb,width=32/${source}`)).headers.get('elfin-info')).toContain(
      'odim=32x24',
    );
    expect((await edge.app.request(`/i/preset=thumb,width=33/${source}`)).status).toBe(403);
  });

  test('keys are needed, and no start without', () => {
    const { source } = createOrigin();
    expect(() => createEdge({ source, store: createMemoryStore(), backends: [], codec })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
  });
}
