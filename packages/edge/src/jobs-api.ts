import { ElfinError } from '@elfin/core';
import type { Hono } from 'hono';
import { streamSSE } from 'hono/streaming';
import { answerError, answerJob } from './answer.ts';
import { isFinal, type JobRecord, type Jobs } from './jobs.ts';

/** Milliseconds between two looks at a job's record while its events are streamed, and between signs of life. */
const LOOK_MS = 250;
const ALIVE_MS = 15_000;
/** Milliseconds after which a stream ends; the client's EventSource comes back by itself. */
const STREAM_MS = 10 * 60_000;

const unknown = () => new ElfinError('JOB_UNKNOWN', 'There is no such job, or it is over for long.');

/** What one event tells. */
function eventOf({ id, state, progress, error, location }: JobRecord): string {
  return JSON.stringify({
    id,
    state,
    progress,
    ...(error ? { error } : {}),
    ...(state === 'done' ? { location } : {}),
  });
}

/**
 * `GET /jobs/<id>`: state as JSON, 303 to the result when done, or Server-Sent Events (`progress`, then `done`, `failed`
 * or `cancelled`) for `Accept: text/event-stream`. `POST /jobs/<id>/cancel` stops it.
 */
export function routeJobs(app: Hono, jobs: Jobs): void {
  app.get('/jobs/:id', async (c) => {
    const id = c.req.param('id');
    const record = await find(id);
    if (!record) return answerError(unknown());
    if (!c.req.header('accept')?.includes('text/event-stream')) return answerJob(record);
    return streamSSE(c, async (stream) => {
      const end = Date.now() + STREAM_MS;
      let told = '';
      let spoke = Date.now();
      for (let now: JobRecord | undefined = record; !stream.aborted && Date.now() < end; now = await find(id)) {
        if (!now) {
          await stream.writeSSE({ event: 'failed', data: JSON.stringify({ id, state: 'failed' }) });
          return;
        }
        const data = eventOf(now);
        if (data !== told) {
          await stream.writeSSE({ event: isFinal(now.state) ? now.state : 'progress', data });
          told = data;
          spoke = Date.now();
        } else if (Date.now() - spoke > ALIVE_MS) {
          await stream.write(': alive\n\n');
          spoke = Date.now();
        }
        if (isFinal(now.state)) return;
        await stream.sleep(LOOK_MS);
      }
    });
  });

  app.post('/jobs/:id/cancel', async (c) => {
    const id = c.req.param('id');
    const record = valid(id) ? await jobs.cancel(id) : undefined;
    return record ? answerJob(record) : answerError(unknown());
  });

  /** Ids become store keys: nothing else may get that far. */
  const valid = (id: string) => /^[A-Za-z0-9_-]{22}$/.test(id);
  const find = async (id: string) => (valid(id) ? jobs.get(id) : undefined);
}
