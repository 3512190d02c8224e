import type { Edge } from '@elfin/edge';
import { expect, test } from 'vitest';
import { KEY, ORIGIN } from './scene.ts';
import { problem, type Scene } from './set-up.ts';

/** Health, mounting, draining, CORS and rates. */
export function testAround(scene: Scene): void {
  const { setUp } = scene;
  test('health, OpenAPI, mounting, draining', async () => {
    const { edge, get } = await setUp();
    await expect(edge.probe()).resolves.toBeUndefined();
    expect((await edge.app.request('/livez')).status).toBe(200);
    expect((await edge.app.request('/readyz')).status).toBe(200);
    const api = (await (await edge.app.request('/openapi.json')).json()) as {
      openapi: string;
      components: { schemas: { Options: { properties: object } } };
    };
    expect(api.openapi).toBe('3.1.0');
    expect(Object.keys(api.components.schemas.Options.properties)).toContain('restore');
    expect((await edge.app.request('/')).status).toBe(404);
    const { Hono } = await import('hono');
    const host = new Hono().route('/images', edge.app);
    const signed = await (edge.signer as NonNullable<Edge['signer']>).sign({
      options: { restore: 'none' },
      source: `${ORIGIN}/rain.png`,
    });
    expect((await host.request(`/images${signed}`)).status).toBe(200);
    await edge.drain();
    expect(await problem(await get('restore=none/rain.png'))).toEqual([503, 'DRAINING']);
    expect([(await edge.app.request('/livez')).status, (await edge.app.request('/readyz')).status]).toEqual([200, 503]);
  });

  test('CORS is off unless asked for, and then exposes what scripts need', async () => {
    const off = await (await setUp()).get('restore=none/rain.png', { origin: 'https://site.example' });
    expect(off.headers.get('access-control-allow-origin')).toBeNull();
    const { get } = await setUp({ cors: { origins: ['https://site.example'] } });
    const on = await get('restore=none/rain.png', { origin: 'https://site.example' });
    expect(on.headers.get('access-control-allow-origin')).toBe('https://site.example');
    expect(on.headers.get('access-control-expose-headers')).toContain('Restore-Status');
    expect(
      (await get('restore=none/rain.png', { origin: 'https://evil.example' })).headers.get(
        'access-control-allow-origin',
      ),
    ).toBeNull();
  });

  test('the rate is limited by key, and requests are counted', async () => {
    const facts: unknown[] = [];
    let left = 1;
    const { get } = await setUp({
      rate: (tenant) => (tenant === KEY.id && left-- > 0 ? undefined : 7),
      metrics: { request: (fact) => facts.push(fact), span() {}, trouble() {} },
    });
    await get('restore=derain/rain.png');
    const refused = await get('restore=derain/rain.png');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '7']);
    expect(facts).toMatchObject([
      { status: 200, task: 'derain', cache: 'miss' },
      { status: 429, task: 'none' },
    ]);
  });
}
