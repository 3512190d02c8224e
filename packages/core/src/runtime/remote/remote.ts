import { LONGEST_WAIT } from '../../base/deadline.ts';
import { ElfinError } from '../../base/errors.ts';
import { elements, type Tensor } from '../../base/tensor.ts';
import { graphName } from '../../protocol/graph-name.ts';
import {
  decodeInferResponse,
  encodeInferRequest,
  HEADER_LENGTH,
  MESSAGE_LIMITS,
  type NamedTensor,
} from '../../protocol/open-inference.ts';
import { readBounded } from '../../protocol/read-bounded.ts';
import type { Backend, Feeds, Outputs, RunOptions, Runtime, Session, SessionOptions } from '../runtime.ts';
import { ATTEMPT_MS, createEndpoints, type Endpoints, type EndpointsOptions, IN_FLIGHT } from './endpoints.ts';
import { findServers, type Servers } from './servers.ts';

export interface RemoteOptions extends EndpointsOptions {
  /** Headers of every request, for example `traceparent`; asked anew each time. */
  readonly headers?: () => Readonly<Record<string, string>>;
  /** Most tiles of one image in flight. Default: what `inFlight` allows at all endpoints together, 24 at most. */
  readonly tilesInFlight?: number;
}

/** So many tiles of 512² as bytes, there and back, are some 50 MB. */
const TILES_IN_FLIGHT = 24;

/** A runtime whose sessions run elsewhere: our worker, Triton or KServe, by the Open Inference Protocol v2. */
export interface RemoteRuntime extends Runtime {
  readonly endpoints: Endpoints;
}

/** What the graphs take and give, for checking a server's word: elements a pixel of `image`, and the type of each name. */
const OUTPUTS = ['restored', 'background', 'sums'];

/**
 * Errors: CONFIG_INVALID for a bad endpoint, OPTION_INVALID for a limit below 1. Its sessions throw what
 * {@link Endpoints.call} throws.
 */
export function createRemoteRuntime(options: RemoteOptions): RemoteRuntime {
  const { inFlight = IN_FLIGHT } = options;
  const { tilesInFlight = Math.min(TILES_IN_FLIGHT, inFlight * Math.max(1, options.endpoints.length)) } = options;
  for (const [name, limit] of Object.entries({ inFlight, tilesInFlight }))
    if (!(Number.isInteger(limit) && limit >= 1))
      throw new ElfinError('OPTION_INVALID', `${name} must be a whole number from 1 up, not ${limit}.`);
  const endpoints = createEndpoints(options);
  return {
    name: 'remote',
    tiles: { io: 'uint8', inFlight: tilesInFlight },
    endpoints,
    async open(model, sessionOptions, { signal } = {}) {
      const name = graphName({ model: model.name, ...sessionOptions });
      const servers = await findServers(endpoints, name, sessionOptions, signal);
      const { headers = () => ({}), attemptMs = ATTEMPT_MS } = options;
      return createSession({ endpoints, name, servers, sessionOptions, headers, attemptMs });
    },
  };
}

function createSession(context: {
  readonly endpoints: Endpoints;
  readonly name: string;
  readonly servers: Servers;
  readonly sessionOptions: SessionOptions;
  readonly headers: () => Readonly<Record<string, string>>;
  readonly attemptMs: number;
}): Session {
  const { endpoints, name, servers, sessionOptions, headers, attemptMs } = context;
  const backend: Backend = {
    provider: 'remote',
    threads: 0,
    declined: [],
    implementation: `Open Inference Protocol v2 at ${[...servers.among].join(', ')}`,
  };
  let disposed = false;

  async function run(feeds: Feeds, { signal, deadline, outputs = OUTPUTS }: RunOptions = {}): Promise<Outputs> {
    if (disposed) throw new ElfinError('DISPOSED', 'This session was disposed; open another.');
    const inputs = Object.entries(feeds).map(([input, tensor]): NamedTensor => ({ name: input, tensor }));
    const image = feeds.image;
    if (!image) throw new ElfinError('OPTION_INVALID', 'A session needs the input image.');
    // Nobody waits for the answer longer than that, so it need not be computed any more either.
    const patience = Math.min(LONGEST_WAIT, attemptMs, (deadline ?? Number.POSITIVE_INFINITY) - Date.now());
    const message = encodeInferRequest({
      parameters: { timeout: Math.max(1, Math.ceil(patience * 1000)) },
      inputs,
      outputs: outputs.map((output) => ({ name: output, binary: true })),
    });
    // Larger than any honest answer: restored and background as float32, sums beside them.
    const limit = elements(image.shape) * 8 + 4 * 1024 * 1024;
    return endpoints.call({
      method: 'POST',
      path: `/v2/models/${encodeURIComponent(name)}/infer`,
      headers: { ...headers(), ...message.headers },
      body: message.body,
      among: servers.among,
      last: servers.silent,
      signal,
      deadline,
      async read(response, url) {
        const bytes = await readBounded(response.body, Math.min(limit, MESSAGE_LIMITS.bytes));
        if (!bytes) throw wrong(url, `it is longer than ${limit} bytes`);
        const answer = decodeInferResponse(bytes, response.headers.get(HEADER_LENGTH));
        if (answer.model !== name) throw wrong(url, `it comes from the model ${answer.model}`);
        const named = new Map(answer.outputs.map((output) => [output.name, output.tensor]));
        return Object.fromEntries(
          outputs.map((output) => {
            const tensor = named.get(output);
            if (!tensor) throw wrong(url, `it lacks ${output}`);
            checkOutput(output, tensor, { image, statistics: feeds.statistics }, sessionOptions, (reason) =>
              wrong(url, reason),
            );
            return [output, tensor];
          }),
        );
      },
    });
  }

  async function dispose(): Promise<void> {
    disposed = true;
    servers.close();
  }
  return { backend, run, dispose, [Symbol.asyncDispose]: dispose };
}

/** Shapes and types follow from the inputs': an answer of any other would be stitched into wrong pixels. */
function checkOutput(
  name: string,
  tensor: Tensor,
  { image, statistics }: { readonly image: Tensor; readonly statistics: Tensor | undefined },
  { io }: SessionOptions,
  wrong: (reason: string) => ElfinError,
): void {
  const [batch = 1] = image.shape;
  const bytes = io === 'uint8';
  const [height = 0, width = 0] = bytes ? image.shape.slice(1, 3) : image.shape.slice(2, 4);
  const half = [height / 2, width / 2];
  const expected = {
    restored: { type: image.type, shape: image.shape },
    background: { type: image.type, shape: bytes ? [batch, ...half, 3] : [batch, 3, ...half] },
    sums: { type: 'float32', shape: [batch, (statistics ?? tensor).shape[1] ?? 0] },
  }[name];
  if (!expected) return;
  if (tensor.type !== expected.type || tensor.shape.join() !== expected.shape.join())
    throw wrong(`${name} is ${tensor.type} [${tensor.shape}], not ${expected.type} [${expected.shape}]`);
  if (tensor.type === 'float32' && !tensor.data.every(Number.isFinite))
    throw wrong(`${name} holds a number that is not finite`);
}

function wrong(url: string, reason: string): ElfinError {
  return new ElfinError('REMOTE_PROTOCOL', `The answer of ${url} is refused: ${reason}.`, { data: { endpoint: url } });
}
