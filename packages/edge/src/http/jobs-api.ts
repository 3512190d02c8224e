import { ElfinError } from '@elfin/core';
import type { Context, Hono } from 'hono';
import { routePath } from 'hono/route';
import { streamSSE } from 'hono/streaming';
import { isFinal, type JobRecord, type Jobs } from '../result/jobs.ts';
import { JOB_ID, parseCredentials, type Signer } from '../url/sign.ts';
import { answerError, answerJob, describeJob } from './answer.ts';

/** Milliseconds between two looks at a job's record while its events are streamed, and between signs of life. */
const LOOK_MS = 250;
const ALIVE_MS = 15_000;
/** Milliseconds after which a stream ends; the client's EventSource comes back by itself. */
const STREAM_MS = 10 * 60_000;

const unknown = () => new ElfinError('JOB_UNKNOWN', 'There is no such job, or it is over for long.');

const ROUTE = 'jobs/:id';

/**
 * Where a caller wants to be led: a transform URL of this very app, spelled as a parser leaves it, so that nothing but a
 * path below the prefix can be meant. Errors: URL_INVALID.
 */
function destination(c: Context, prefix: string): string | undefined {
  const to = c.req.query('to');
  if (to === undefined) return undefined;
  const here = 'http://elfin.invalid';
  const route = routePath(c);
  const begin = `${route.slice(0, route.length - ROUTE.length)}${prefix}/`;
  const url = to.startsWith(begin) && URL.canParse(to, here) ? new URL(to, here) : undefined;
  if (url?.origin === here && url.pathname + url.search === to) return to;
  throw new ElfinError('URL_INVALID', `The query parameter "to" takes the path and query of a URL below ${begin}.`);
}

export interface JobRoutes {
  readonly prefix: string;
  readonly signer?: Signer | undefined;
  /** Jobs may be cancelled by anyone: for development. */
  readonly unsafe: boolean;
}

/** Errors: SIGNATURE_INVALID, SIGNATURE_EXPIRED, URL_INVALID. */
async function allowCancel(id: string, search: string, signer: Signer | undefined): Promise<void> {
  if (!signer) throw new ElfinError('SIGNATURE_INVALID', 'This server has no keys, so nobody may cancel a job here.');
  await signer.verifyCancel(id, parseCredentials(search));
}

/**
 * `GET /jobs/<id>?to=<transform URL>`: state as JSON, 303 to that URL when done, or Server-Sent Events (`progress`, then
 * `done`, `failed` or `cancelled`) for `Accept: text/event-stream`. `POST /jobs/<id>/cancel?kid=…&sig=…` (`Signer.signCancel`) stops it for all
 * who wait.
 */
export function routeJobs(app: Hono, jobs: Jobs, options: JobRoutes): void {
  const { prefix } = options;
  app.get(`/${ROUTE}`, async (c) => {
    const id = c.req.param('id');
    const to = destination(c, prefix);
    const record = await find(id);
    if (!record) return answerError(unknown());
    if (!c.req.header('accept')?.includes('text/event-stream')) return answerJob(record, to);
    return streamSSE(c, async (stream) => {
      const end = Date.now() + STREAM_MS;
      let told = '';
      let spoke = Date.now();
      for (let now: JobRecord | undefined = record; !stream.aborted && Date.now() < end; now = await find(id)) {
        if (!now) {
          await stream.writeSSE({ event: 'failed', data: JSON.stringify({ id, state: 'failed' }) });
          return;
        }
        const data = describeJob(now, to);
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
    // Its id is told to everyone who asks for the picture: it lets them watch, not stop what others wait for.
    if (!options.unsafe) await allowCancel(id, new URL(c.req.url).search, options.signer);
    const record = valid(id) ? await jobs.cancel(id) : undefined;
    return record ? answerJob(record) : answerError(unknown());
  });

  /** Ids become store keys: nothing else may get that far. */
  const valid = (id: string) => JOB_ID.test(id);
  const find = async (id: string) => (valid(id) ? jobs.get(id) : undefined);
}
