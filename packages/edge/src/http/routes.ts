import { ElfinError } from '@elfin/core';
import { type Context, Hono } from 'hono';
import { cors } from 'hono/cors';
import { routePath } from 'hono/route';
import type { Backend } from '../backends/backend.ts';
import { landingPage } from '../playground/playground.ts';
import type { Jobs } from '../result/jobs.ts';
import type { StoreState } from '../result/store-guard.ts';
import type { Signer } from '../url/sign.ts';
import { answerError } from './answer.ts';
import type { Handler } from './handler.ts';
import { EXPOSED, SECURITY } from './headers.ts';
import { routeJobs } from './jobs-api.ts';
import { openApi } from './openapi.ts';
import type { WaitUntil } from './request.ts';

export interface Operations {
  /** See {@link readiness}. */
  readonly ready: () => string;
  readonly scrape?: (() => Promise<{ readonly type: string; readonly body: string }>) | undefined;
}

export interface Routes extends Operations {
  readonly prefix: string;
  readonly signer: Signer | undefined;
  readonly unsafe?: boolean | undefined;
  readonly jobs: Jobs;
  readonly handler: Handler;
  readonly cors?: { readonly origins: readonly string[] } | undefined;
  readonly scrapeApart?: boolean | undefined;
  readonly dev?: boolean | undefined;
  readonly samples?: (() => Promise<readonly string[]>) | undefined;
}

/** `ok…` where requests should come here, else why not. A store that fails costs work and no answer, so it is only told. */
export function readiness(of: {
  readonly draining: boolean;
  readonly backends: readonly Backend[];
  readonly store: StoreState;
}): string {
  if (of.draining) return 'draining';
  if (!of.backends.some((backend) => backend.available())) return 'no backend is available';
  return of.store.failing ? `ok, but the result store fails (${of.store.code}): each request is made anew` : 'ok';
}

/** What an operator asks: whether the process lives, whether it takes requests, and its numbers. None of it waits in a queue. */
export function createOperations(of: Operations): Hono {
  const app = new Hono();
  routeOperations(app, of);
  return app;
}

function routeOperations(app: Hono, { ready, scrape }: Operations): void {
  app.get('/livez', (c) => c.text('ok'));
  app.get('/readyz', (c) => {
    const state = ready();
    return c.text(state, state.startsWith('ok') ? 200 : 503);
  });
  if (!scrape) return;
  app.get('/metrics', async (c) => {
    const { type, body } = await scrape();
    return c.body(body, 200, { 'content-type': type });
  });
}

/** All routes of an edge. */
export function createApp(routes: Routes): Hono {
  const { prefix, signer, jobs, samples, unsafe = false } = routes;
  const app = new Hono();
  if (routes.cors) app.use('*', allowOrigins(routes.cors.origins));
  routeOperations(app, { ready: routes.ready, scrape: routes.scrapeApart ? undefined : routes.scrape });
  const api = openApi({ prefix });
  app.get('/openapi.json', (c) => c.json(api, 200, { ...SECURITY, 'cache-control': 'public, max-age=300' }));
  if (routes.dev) landingPage(app, { prefix, ...(signer ? { signer } : {}), ...(samples ? { samples } : {}) });
  routeJobs(app, jobs, { prefix, signer, unsafe });
  routeTransforms(app, prefix, routes.handler);
  app.notFound((c) => answerError(new ElfinError('ROUTE_UNKNOWN', `There is nothing at ${c.req.path.slice(0, 100)}.`)));
  app.onError((error) => answerError(error));
  return app;
}

function allowOrigins(origins: readonly string[]) {
  return cors({
    origin: [...origins],
    exposeHeaders: [...EXPOSED],
    allowHeaders: ['Prefer', 'If-None-Match'],
    allowMethods: ['GET', 'HEAD', 'POST'],
  });
}

function routeTransforms(app: Hono, prefix: string, handler: Handler): void {
  app.get(`/${prefix}/*`, (c) => {
    const route = routePath(c);
    return handler.handleTransform(c.req.raw, route.slice(0, route.length - `${prefix}/*`.length), waitUntilOf(c));
  });
  app.all(`/${prefix}/*`, () => {
    const allow = 'GET, HEAD';
    return answerError(new ElfinError('METHOD_UNSUPPORTED', `Only ${allow} are answered here.`, { data: { allow } }));
  });
}

/** What the platform does with work behind an answer; undefined where it has no such thing. */
function waitUntilOf(c: Context): WaitUntil | undefined {
  try {
    const { executionCtx } = c;
    return (work) => executionCtx.waitUntil(work);
  } catch {
    return undefined;
  }
}
