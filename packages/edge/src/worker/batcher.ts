import { ElfinError, type Feeds, type Outputs, type Tensor, type TensorType, throwIfAborted } from '@elfin/core';

export interface BatcherOptions {
  /** Most tiles in one run of the graph. */
  readonly maxBatch: number;
  /** Milliseconds that a tile waits for others of its shape while nothing runs. Triton's max_queue_delay. */
  readonly maxDelayMs: number;
  /** Most tiles waiting; more are refused at once. */
  readonly maxQueue: number;
  /** Most bytes of inputs waiting or running; more are refused at once. */
  readonly maxBytes: number;
  /** Runs of the graph side by side: 1 for a device that one run fills. */
  readonly concurrency: number;
  /** Runs one batch: inputs stacked along the first axis. */
  run(graph: string, feeds: Feeds, outputs: readonly string[] | undefined): Promise<Outputs>;
  /** Told of each batch that ran, for metrics. */
  onBatch?(batch: {
    readonly graph: string;
    readonly size: number;
    readonly queueMs: readonly number[];
    readonly computeMs: number;
  }): void;
}

export interface Job {
  readonly graph: string;
  readonly feeds: Feeds;
  readonly outputs?: readonly string[];
  /** 1 is served first; larger numbers later. Default 2. */
  readonly priority?: number;
  /** Milliseconds since the epoch. What cannot be done by then is refused, or dropped from the queue. */
  readonly deadline?: number;
  readonly signal?: AbortSignal;
}

export interface Done {
  readonly outputs: Outputs;
  readonly queueMs: number;
  readonly computeMs: number;
  /** Tiles in the run that this one was part of. */
  readonly batch: number;
}

export interface Batcher {
  /** Errors: REMOTE_BUSY (full, or no hope before the deadline), DEADLINE_EXCEEDED, ABORTED, DISPOSED, and what `run` throws. */
  submit(job: Job): Promise<Done>;
  readonly waiting: number;
  readonly running: number;
  /** Refuses new work and answers when all that was accepted is done. */
  drain(): Promise<void>;
}

interface Waiting {
  readonly job: Job;
  readonly shape: string;
  /** Equal for all that may share a run. */
  readonly key: string;
  readonly size: number;
  readonly bytes: number;
  readonly since: number;
  readonly order: number;
  resolve(done: Done): void;
  reject(error: unknown): void;
}

/**
 * Groups tiles of one graph, one shape and one set of statistics into batches, serves the most urgent first and refuses early
 * what it cannot do in time: a caller that is told so at once can go elsewhere.
 */
export function createBatcher(options: BatcherOptions): Batcher {
  const { maxBatch, maxDelayMs, maxQueue, maxBytes, concurrency } = options;
  const queue: Waiting[] = [];
  let running = 0;
  let bytes = 0;
  let order = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let draining: (() => void) | undefined;
  let drained: Promise<void> | undefined;
  /** Milliseconds of compute a tile, a moving average; what the shedding estimate rests on. */
  let pace = 0;

  function pump(): void {
    clearTimeout(timer);
    timer = undefined;
    expire();
    while (running < concurrency && queue.length > 0) {
      queue.sort((one, other) => urgency(one) - urgency(other) || one.order - other.order);
      const head = queue[0]!;
      const group = queue.filter(({ key }) => key === head.key);
      const full = group.reduce((sum, { size }) => sum + size, 0) >= maxBatch;
      const waited = Date.now() - head.since;
      if (!full && waited < maxDelayMs && !drained) {
        timer = setTimeout(pump, maxDelayMs - waited);
        return;
      }
      start(group);
    }
    if (drained && running === 0 && queue.length === 0) draining?.();
  }

  function start(group: readonly Waiting[]): void {
    const batch: Waiting[] = [];
    let size = 0;
    for (const item of group) {
      if (batch.length > 0 && size + item.size > maxBatch) break;
      batch.push(item);
      size += item.size;
    }
    for (const item of batch) queue.splice(queue.indexOf(item), 1);
    running += 1;
    void compute(batch, size).finally(pump);
  }

  async function compute(batch: readonly Waiting[], size: number): Promise<void> {
    const started = Date.now();
    const queueMs = batch.map(({ since }) => started - since);
    const { graph, outputs } = batch[0]!.job;
    try {
      // Whoever hears the answer finds the room free that this batch took.
      const answer = await options.run(graph, stack(batch.map(({ job }) => job.feeds)), outputs).finally(() => {
        running -= 1;
        for (const item of batch) bytes -= item.bytes;
      });
      const computeMs = Date.now() - started;
      pace = pace === 0 ? computeMs / size : 0.8 * pace + 0.2 * (computeMs / size);
      options.onBatch?.({ graph, size, queueMs, computeMs });
      const parts = split(
        answer,
        batch.map((item) => item.size),
      );
      for (const [index, item] of batch.entries())
        item.resolve({ outputs: parts[index]!, queueMs: queueMs[index]!, computeMs, batch: size });
    } catch (error) {
      for (const item of batch) item.reject(error);
    }
  }

  function expire(): void {
    const now = Date.now();
    for (const item of queue.filter(({ job }) => (job.deadline ?? Number.POSITIVE_INFINITY) <= now))
      drop(item, new ElfinError('DEADLINE_EXCEEDED', 'The deadline passed while the tile waited in the queue.'));
  }

  function drop(item: Waiting, error: ElfinError): void {
    const index = queue.indexOf(item);
    if (index < 0) return;
    queue.splice(index, 1);
    bytes -= item.bytes;
    item.reject(error);
  }

  function refuse(reason: string, waitMs: number): ElfinError {
    const retryAfter = Math.max(1, Math.ceil(waitMs / 1000));
    return new ElfinError('REMOTE_BUSY', `${reason}; try again in ${retryAfter} s or elsewhere.`, {
      data: { retryAfter },
    });
  }

  return {
    submit(job) {
      return new Promise<Done>((resolve, reject) => {
        throwIfAborted(job.signal);
        if (drained) throw new ElfinError('DISPOSED', 'The worker is shutting down and takes no new work.');
        const size = job.feeds.image?.shape[0] ?? 1;
        const cost = bytesOf(job.feeds);
        const waiting = queue.reduce((sum, item) => sum + item.size, 0);
        const estimate = (waiting + size) * (pace / concurrency);
        if (waiting + size > maxQueue) throw refuse(`The queue is full (${waiting} tiles)`, waiting * pace);
        if (bytes + cost > maxBytes) throw refuse(`The memory budget of ${maxBytes} bytes is used up`, waiting * pace);
        if (job.deadline !== undefined && Date.now() + estimate > job.deadline)
          throw refuse(`About ${Math.ceil(estimate)} ms of work cannot be done before the deadline`, estimate);
        const shape = keyOf(job);
        const twin = queue.find(
          (other) => other.shape === shape && sameBytes(other.job.feeds.statistics, job.feeds.statistics),
        );
        const key = twin?.key ?? `${shape}|${order}`;
        const item = { job, shape, key, size, bytes: cost, since: Date.now(), order: order++, resolve, reject };
        bytes += cost;
        queue.push(item);
        const abort = () =>
          drop(item, new ElfinError('ABORTED', 'The caller went away.', { cause: job.signal?.reason }));
        job.signal?.addEventListener('abort', abort, { once: true });
        pump();
      });
    },
    get waiting() {
      return queue.length;
    },
    get running() {
      return running;
    },
    drain() {
      drained ??= new Promise((resolve) => {
        draining = resolve;
      });
      pump();
      return drained;
    },
  };
}

function urgency({ job }: Waiting): number {
  return job.priority ?? 2;
}

/** Tiles may share a run when graph, wanted outputs, all shapes but the first axis, and the image's statistics are the same. */
function keyOf({ graph, feeds, outputs }: Job): string {
  const shapes = Object.entries(feeds)
    .map(([name, { type, shape }]) => `${name}:${type}:${name === 'statistics' ? shape : shape.slice(1)}`)
    .sort();
  return [graph, outputs?.join() ?? '*', ...shapes].join('|');
}

function sameBytes(one: Tensor | undefined, other: Tensor | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  if (one.data.length !== other.data.length) return false;
  return one.data.every((value, index) => value === other.data[index]);
}

function bytesOf(feeds: Feeds): number {
  return Object.values(feeds).reduce((sum, { data }) => sum + data.byteLength, 0);
}

function stack(feeds: readonly Feeds[]): Feeds {
  const [first] = feeds;
  if (feeds.length === 1 || !first) return first ?? {};
  return Object.fromEntries(
    Object.entries(first).map(([name, tensor]) => [
      name,
      name === 'statistics' ? tensor : concatenate(feeds.map((each) => each[name]!)),
    ]),
  );
}

function concatenate(tensors: readonly Tensor[]): Tensor {
  const { type, shape, data } = tensors[0]!;
  const length = tensors.reduce((sum, tensor) => sum + tensor.data.length, 0);
  const joined = new (data.constructor as Float32ArrayConstructor)(length);
  let offset = 0;
  for (const tensor of tensors) {
    joined.set(tensor.data as Float32Array, offset);
    offset += tensor.data.length;
  }
  const batch = tensors.reduce((sum, tensor) => sum + (tensor.shape[0] ?? 1), 0);
  return { type, shape: [batch, ...shape.slice(1)], data: joined } as Tensor;
}

function split(outputs: Outputs, sizes: readonly number[]): Outputs[] {
  let row = 0;
  return sizes.map((size) => {
    const from = row;
    row += size;
    return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, rows(tensor, from, size)]));
  });
}

function rows<T extends TensorType>({ type, shape, data }: Tensor<T>, from: number, count: number): Tensor {
  const stride = data.length / (shape[0] || 1);
  return {
    type,
    shape: [count, ...shape.slice(1)],
    data: data.slice(from * stride, (from + count) * stride),
  } as Tensor;
}
