import { ElfinError, type ElfinErrorCode, type ModelRef, parseResultOptions, type Runtime } from '@elfin/core';
import {
  DEADLINE_HEADER,
  decodeInferRequest,
  encodeInferResponse,
  HEADER_LENGTH,
  MESSAGE_LIMITS,
  type MessageLimits,
  MODEL_HEADER,
  MODELS_HEADER,
} from '@elfin/core/remote';
import { Hono } from 'hono';
import { bearerAuth } from 'hono/bearer-auth';
import { createMiddleware } from 'hono/factory';
import { asElfinError, retryAfter, statusOf } from '../http/errors.ts';
import { createBatcher } from './batcher.ts';
import { createBodyReader } from './body.ts';
import { checkFeeds, createGraphs, pixelsOf } from './graphs.ts';
import { createWorkerMetrics } from './metrics.ts';
import type { createWholeImages } from './whole-image.ts';

/** What a worker says otherwise than an edge: as the protocol and Triton do. */
const STATUS: Partial<Record<ElfinErrorCode, number>> = { MODEL_UNKNOWN: 404, OVERLOADED: 503 };

export interface WorkerOptions {
  readonly models: readonly ModelRef[];
  readonly runtime: Runtime;
  /** Restores a whole encoded image; without it `/restore` is 404. */
  readonly restoreImage?: ReturnType<typeof createWholeImages>;
  /** Bearer token that every route but health asks for. */
  readonly token?: string;
  /** Tiles in one run, and in one request; default 4. */
  readonly maxBatch?: number;
  /** Milliseconds that a tile waits for others of its shape; default 2. */
  readonly maxDelayMs?: number;
  /** Tiles waiting; default 256. */
  readonly maxQueue?: number;
  /** Bytes of requests held at once; default 512 MiB. */
  readonly maxBytes?: number;
  /** Longest side of a tile; default 1024. */
  readonly maxSide?: number;
  /** Most bytes of an encoded image; default 64 MiB. */
  readonly maxImageBytes?: number;
  /** Milliseconds in which a request's body must have arrived; default 30,000. */
  readonly bodyMs?: number;
  /** Runs side by side; default 1. */
  readonly concurrency?: number;
  /** Graphs kept open while nothing runs on them; default 8. */
  readonly keep?: number;
}

export interface Worker {
  readonly app: Hono;
  /** Stops taking work, finishes what was accepted, closes every graph. */
  drain(): Promise<void>;
}

/** What the server says of itself. */
const SERVER = {
  name: 'elfin',
  version: '0.1.0',
  extensions: ['binary_tensor_data', 'model_repository', 'schedule_policy'],
};

/**
 * The GPU worker's HTTP face: the Open Inference Protocol v2 with binary tensors, whole images, health and metrics.
 */
export function createWorker(options: WorkerOptions): Worker {
  const {
    models,
    runtime,
    restoreImage,
    token,
    maxBatch = 4,
    maxSide = 1024,
    maxImageBytes = 64 * 1024 * 1024,
    bodyMs = 30_000,
  } = options;
  const maxBytes = options.maxBytes ?? 512 * 1024 * 1024;
  const limits: MessageLimits = { ...MESSAGE_LIMITS, bytes: Math.min(MESSAGE_LIMITS.bytes, maxBytes) };
  const graphs = createGraphs({ models, runtime, keep: options.keep ?? 8 });
  const batcher = createBatcher({
    maxBatch,
    maxDelayMs: options.maxDelayMs ?? 2,
    maxQueue: options.maxQueue ?? 256,
    maxBytes,
    concurrency: options.concurrency ?? 1,
    run: graphs.run,
    onBatch({ graph, size, queueMs, computeMs }) {
      metrics.batchSize.observe({ graph }, size);
      metrics.computeSeconds.observe({ graph }, computeMs / 1000);
      for (const each of queueMs) metrics.queueSeconds.observe({ graph }, each / 1000);
    },
  });
  const metrics = createWorkerMetrics({ waiting: () => batcher.waiting, running: () => batcher.running });
  const bodies = createBodyReader({ maxBytes, bodyMs });
  let draining = false;

  const app = new Hono();
  app.use(
    createMiddleware(async (c, next) => {
      await next();
      metrics.requests.inc({ route: c.req.routePath, status: String(c.res.status) });
    }),
  );

  const ready = () => !draining;
  app.get('/livez', (c) => c.text('ok'));
  app.get('/readyz', (c) => c.text(ready() ? 'ok' : 'draining', ready() ? 200 : 503));
  app.get('/v2/health/live', (c) => c.json({ live: true }));
  app.get('/v2/health/ready', (c) => c.json({ ready: ready() }, ready() ? 200 : 503));

  if (token !== undefined) authenticate(app, token);
  app.get('/metrics', async (c) =>
    c.body(await metrics.registry.metrics(), 200, { 'Content-Type': metrics.registry.contentType }),
  );
  app.get('/v2', (c) => c.json(SERVER));
  app.post('/v2/repository/index', (c) =>
    c.json(
      graphs.names.map((name) => ({
        name,
        version: '1',
        state: 'READY',
        reason: graphs.isOpen(name) ? '' : 'opened when first used',
      })),
    ),
  );
  for (const model of ['/v2/models/:model', '/v2/models/:model/versions/:version'] as const) {
    app.get(model, (c) => c.json(graphs.metadata(named(c.req.param()))));
    app.get(`${model}/ready`, (c) => {
      graphs.metadata(named(c.req.param()));
      return c.json({ ready: ready() }, ready() ? 200 : 503);
    });
    app.post(`${model}/infer`, async (c) => {
      const name = named(c.req.param());
      const metadata = graphs.metadata(name);
      const request = await bodies.use(c.req.raw, limits.bytes, (bytes) =>
        decodeInferRequest(bytes, c.req.header(HEADER_LENGTH) ?? null, limits),
      );
      const feeds = Object.fromEntries(request.inputs.map((input) => [input.name, input.tensor]));
      checkFeeds(metadata, feeds, { side: maxSide, batch: maxBatch });
      const unknown = request.outputs.find((output) => !metadata.outputs.some((known) => known.name === output.name));
      if (unknown) throw new ElfinError('OPTION_INVALID', `The model has no output ${unknown.name.slice(0, 40)}.`);
      const { timeout, priority } = request.parameters ?? {};
      const done = await batcher.submit({
        graph: name,
        feeds,
        signal: c.req.raw.signal,
        ...(request.outputs.length > 0 && { outputs: request.outputs.map((output) => output.name) }),
        ...(typeof timeout === 'number' && timeout > 0 && { deadline: Date.now() + timeout / 1000 }),
        ...(typeof priority === 'number' && priority > 0 && { priority }),
      });
      metrics.pixels.inc({ graph: name }, pixelsOf(feeds));
      const binary = binaryOutputs(request);
      const message = encodeInferResponse(
        {
          ...(request.id !== undefined && { id: request.id }),
          model: name,
          outputs: Object.entries(done.outputs).map(([output, tensor]) => ({ name: output, tensor })),
        },
        binary,
      );
      const timing = `queue;dur=${done.queueMs}, infer;dur=${done.computeMs}, batch;desc="${done.batch}"`;
      return c.body(message.body, 200, { ...message.headers, 'Server-Timing': timing });
    });
  }

  if (restoreImage)
    app.post('/restore', async (c) => {
      const wanted = parseResultOptions(c.req.query('o') ?? '');
      if (draining) throw new ElfinError('DRAINING', 'The worker is shutting down; ask another.');
      const left = Number(c.req.header(DEADLINE_HEADER));
      const context = {
        signal: c.req.raw.signal,
        deadline: left > 0 ? Date.now() + left : undefined,
        models: c.req.header(MODELS_HEADER)?.split(/\s*,\s*/),
      };
      const restored = await bodies.use(c.req.raw, maxImageBytes, (bytes) => restoreImage(bytes, wanted, context));
      const timing = Object.entries(restored.timings).map(([phase, ms]) => `${phase};dur=${Math.round(ms)}`);
      return c.body(restored.bytes as Uint8Array<ArrayBuffer>, 200, {
        'Content-Type': restored.type,
        'Restore-Status': wanted.restore === 'none' ? 'passthrough' : 'restored',
        'Server-Timing': timing.join(', '),
        [MODEL_HEADER]: restored.digest,
      });
    });

  answerErrors(app);

  return {
    app,
    async drain() {
      draining = true;
      await batcher.drain();
      await graphs.dispose();
    },
  };
}

/** Everything but health asks for the token. */
function authenticate(app: Hono, token: string): void {
  const check = bearerAuth({
    token,
    noAuthenticationHeader: { message: { error: 'A bearer token is needed.' } },
    invalidToken: { message: { error: 'This bearer token is not the worker’s.' } },
    invalidAuthenticationHeader: { message: { error: 'The Authorization header is no bearer token.' } },
  });
  for (const path of ['/v2/*', '/v2', '/restore', '/metrics']) app.use(path, check);
}

function answerErrors(app: Hono): void {
  app.notFound((c) => c.json({ error: `There is nothing at ${c.req.path.slice(0, 100)}.` }, 404));
  app.onError((thrown, c) => {
    if ('getResponse' in thrown && typeof thrown.getResponse === 'function') return thrown.getResponse() as Response;
    const error = asElfinError(thrown);
    const status = STATUS[error.code] ?? statusOf(error.code);
    const wait = retryAfter(error);
    return c.json({ error: status === 500 ? 'The worker failed; its log says more.' : error.message }, status as 400, {
      'Elfin-Error': error.code,
      ...(wait !== undefined && { 'Retry-After': String(wait) }),
    });
  });
}

function named({ model, version }: { readonly model: string; readonly version?: string }): string {
  if (version !== undefined && version !== '1')
    throw new ElfinError(
      'MODEL_UNKNOWN',
      `The model ${model.slice(0, 120)} has only version 1: its digest is in its name.`,
    );
  return model;
}

/** An output travels as bytes when asked so, or by `binary_data_output` where none is named. */
function binaryOutputs({ outputs, parameters }: ReturnType<typeof decodeInferRequest>): (name: string) => boolean {
  if (outputs.length === 0) return () => parameters?.binary_data_output === true;
  return (name) => outputs.some((output) => output.name === name && output.binary);
}
