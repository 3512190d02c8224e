import { ElfinError, type ModelRef, parseResultOptions, type ResultOptions, type Runtime } from '@elfin/core';
import {
  decodeInferRequest,
  encodeInferResponse,
  HEADER_LENGTH,
  MESSAGE_LIMITS,
  type MessageLimits,
  readBounded,
} from '@elfin/core/remote';
import { Hono } from 'hono';
import { bearerAuth } from 'hono/bearer-auth';
import { createMiddleware } from 'hono/factory';
import { asElfinError, retryAfter, statusOf } from '../errors.ts';
import { createBatcher } from './batcher.ts';
import { checkFeeds, createGraphs } from './graphs.ts';
import { createWorkerMetrics } from './metrics.ts';

/** A whole image restored: what `POST /restore` answers. */
export interface RestoredBytes {
  readonly bytes: Uint8Array;
  readonly type: string;
  /** Milliseconds a phase, for `Server-Timing`. */
  readonly timings: Readonly<Record<string, number>>;
}

export interface WorkerOptions {
  readonly models: readonly ModelRef[];
  readonly runtime: Runtime;
  /** Restores a whole encoded image; without it `/restore` is 404. */
  readonly restoreImage?: (
    bytes: Uint8Array,
    options: ResultOptions,
    context: { readonly signal: AbortSignal; readonly deadline: number | undefined },
  ) => Promise<RestoredBytes>;
  /** Bearer token that every route but health asks for. */
  readonly token?: string;
  /** Tiles in one run; default 4. */
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
  /** Graphs kept open; default 8. */
  readonly keep?: number;
}

export interface Worker {
  readonly app: Hono;
  /** Stops taking work, finishes what was accepted, closes every graph. */
  drain(): Promise<void>;
}

/**
 * The GPU worker's HTTP face: the Open Inference Protocol v2 with binary tensors, whole images, health and metrics.
 */
export function createWorker(options: WorkerOptions): Worker {
  const {
    models,
    runtime,
    restoreImage,
    token,
    maxSide = 1024,
    maxImageBytes = 64 * 1024 * 1024,
    bodyMs = 30_000,
  } = options;
  const maxBytes = options.maxBytes ?? 512 * 1024 * 1024;
  const limits: MessageLimits = { ...MESSAGE_LIMITS, bytes: Math.min(MESSAGE_LIMITS.bytes, maxBytes) };
  const graphs = createGraphs({ models, runtime, keep: options.keep ?? 8 });
  const batcher = createBatcher({
    maxBatch: options.maxBatch ?? 4,
    maxDelayMs: options.maxDelayMs ?? 2,
    maxQueue: options.maxQueue ?? 256,
    maxBytes,
    concurrency: options.concurrency ?? 1,
    run: (graph, feeds, outputs) => graphs.use(graph, (session) => session.run(feeds, outputs ? { outputs } : {})),
    onBatch({ graph, size, queueMs, computeMs }) {
      metrics.batchSize.observe({ graph }, size);
      metrics.computeSeconds.observe({ graph }, computeMs / 1000);
      for (const each of queueMs) metrics.queueSeconds.observe({ graph }, each / 1000);
    },
  });
  const metrics = createWorkerMetrics({ waiting: () => batcher.waiting, running: () => batcher.running });
  /** Bytes of bodies being read: they count against the budget before the batcher sees them. */
  let reading = 0;
  let draining = false;

  async function readBody(request: Request, limit: number): Promise<Uint8Array<ArrayBuffer>> {
    const tooLong = new ElfinError('IMAGE_TOO_MANY_BYTES', `The body has more than the ${limit} bytes allowed.`);
    if (Number(request.headers.get('content-length')) > limit) throw tooLong;
    let taken = 0;
    const take = (length: number) => {
      if (reading + length > maxBytes)
        throw new ElfinError('REMOTE_BUSY', 'Too many bodies are being read; try again in 1 s or elsewhere.', {
          data: { retryAfter: 1 },
        });
      reading += length;
      taken += length;
    };
    let clock: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      const error = new ElfinError('BODY_TIMEOUT', `The body did not arrive within ${bodyMs} ms.`);
      clock = setTimeout(() => reject(error), bodyMs);
    });
    try {
      const bytes = await Promise.race([readBounded(request.body, limit, take), late]);
      if (!bytes) throw tooLong;
      return bytes;
    } finally {
      clearTimeout(clock);
      reading -= taken;
    }
  }

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

  if (token !== undefined) {
    const authenticate = bearerAuth({
      token,
      noAuthenticationHeader: { message: { error: 'A bearer token is needed.' } },
      invalidToken: { message: { error: 'This bearer token is not the worker’s.' } },
      invalidAuthenticationHeader: { message: { error: 'The Authorization header is no bearer token.' } },
    });
    app.use('/v2/*', authenticate);
    app.use('/v2', authenticate);
    app.use('/restore', authenticate);
    app.use('/metrics', authenticate);
  }

  app.get('/metrics', async (c) =>
    c.body(await metrics.registry.metrics(), 200, { 'Content-Type': metrics.registry.contentType }),
  );
  app.get('/v2', (c) =>
    c.json({
      name: 'elfin',
      version: '0.1.0',
      extensions: ['binary_tensor_data', 'model_repository', 'schedule_policy'],
    }),
  );
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
      const bytes = await readBody(c.req.raw, limits.bytes);
      const request = decodeInferRequest(bytes, c.req.header(HEADER_LENGTH) ?? null, limits);
      const feeds = Object.fromEntries(request.inputs.map((input) => [input.name, input.tensor]));
      checkFeeds(metadata, feeds, maxSide);
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
      metrics.pixels.inc({ graph: name }, pixelsOf(feeds.image?.shape ?? [], feeds.image?.type === 'uint8'));
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
      const deadlineHeader = Number(c.req.header('Elfin-Deadline-Ms'));
      const deadline = Number.isFinite(deadlineHeader) && deadlineHeader > 0 ? Date.now() + deadlineHeader : undefined;
      const bytes = await readBody(c.req.raw, maxImageBytes);
      const restored = await restoreImage(bytes, wanted, { signal: c.req.raw.signal, deadline });
      const timing = Object.entries(restored.timings).map(([phase, ms]) => `${phase};dur=${Math.round(ms)}`);
      return c.body(Uint8Array.from(restored.bytes), 200, {
        'Content-Type': restored.type,
        'Restore-Status': wanted.restore === 'none' ? 'passthrough' : 'restored',
        'Server-Timing': timing.join(', '),
      });
    });

  app.notFound((c) => c.json({ error: `There is nothing at ${c.req.path.slice(0, 100)}.` }, 404));
  app.onError((thrown, c) => {
    if ('getResponse' in thrown && typeof thrown.getResponse === 'function') return thrown.getResponse() as Response;
    const error = asElfinError(thrown);
    const status = error.code === 'MODEL_UNKNOWN' ? 404 : statusOf(error.code);
    const wait = retryAfter(error);
    return c.json({ error: status === 500 ? 'The worker failed; its log says more.' : error.message }, status as 400, {
      'Elfin-Error': error.code,
      ...(wait !== undefined && { 'Retry-After': String(wait) }),
    });
  });

  return {
    app,
    async drain() {
      draining = true;
      await batcher.drain();
      await graphs.dispose();
    },
  };
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

function pixelsOf(shape: readonly number[], channelsLast: boolean): number {
  const [batch = 1, ...rest] = shape;
  const [height = 0, width = 0] = channelsLast ? rest.slice(0, 2) : rest.slice(1, 3);
  return batch * height * width;
}
