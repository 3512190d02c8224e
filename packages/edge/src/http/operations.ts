import type { Hono } from 'hono';

export interface Operations {
  /** `ok`, or why no request should come here. */
  readonly ready: () => string;
  readonly scrape?: (() => Promise<{ readonly type: string; readonly body: string }>) | undefined;
}

/** What an operator asks: whether the process lives, whether it takes requests, and its numbers. None of it waits in a queue. */
export function routeOperations(app: Hono, { ready, scrape }: Operations): Hono {
  app.get('/livez', (c) => c.text('ok'));
  app.get('/readyz', (c) => {
    const state = ready();
    return c.text(state, state === 'ok' ? 200 : 503);
  });
  if (scrape) {
    app.get('/metrics', async (c) => {
      const { type, body } = await scrape();
      return c.body(body, 200, { 'content-type': type });
    });
  }
  return app;
}
