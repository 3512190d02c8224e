import {
  BrokenCircuitError,
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhen,
} from 'cockatiel';
import { interruptible, LONGEST_WAIT } from '../../base/deadline.ts';
import { ElfinError, isElfinError } from '../../base/errors.ts';
import { createLimiter, type Limiter } from '../../base/limiter.ts';
import { wait } from '../../base/wait.ts';
import { adviceOf, failureOfResponse, failureOfTransport } from './failure.ts';

/** As many connections as workerd opens for one request; enough to fill a worker's batch while another runs. */
export const IN_FLIGHT = 6;
export const ATTEMPT_MS = 60_000;
/** However long a worker asks to wait. */
const LONGEST_PAUSE = 60_000;

/** Where workers answer, and how much is asked of them. */
export interface EndpointsOptions {
  /** Base URLs, with a bearer token where the worker wants one. */
  readonly endpoints: readonly (string | { readonly url: string; readonly token?: string })[];
  readonly fetch?: typeof globalThis.fetch;
  /** Most requests in flight to one endpoint; others wait. Default {@link IN_FLIGHT}. */
  readonly inFlight?: number;
  /** Further attempts after the first, 0…2. Default 2. */
  readonly retries?: number;
  /** Milliseconds after which an endpoint that has not answered counts as hanging. Default {@link ATTEMPT_MS}. */
  readonly attemptMs?: number;
  /** Failures in a row that open an endpoint's breaker, and milliseconds that it stays open. Default 4 and 5,000. */
  readonly breaker?: { readonly failures: number; readonly openMs: number };
}

export interface Call<T> {
  readonly method: 'GET' | 'POST';
  /** Path and query below the endpoint's base URL. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer>;
  /** Only these endpoints may answer; all by default. */
  readonly among?: ReadonlySet<string>;
  /** These of them only where no other is left. */
  readonly last?: ReadonlySet<string>;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds since the epoch. */
  readonly deadline?: number | undefined;
  /** Takes a good answer apart. What it throws as REMOTE_PROTOCOL counts against the endpoint and is tried elsewhere. */
  read(response: Response, endpoint: string): Promise<T>;
}

export interface Endpoints {
  /** Base URLs in the order given. */
  readonly urls: readonly string[];
  /**
   * Asks the healthiest endpoint and, where that may help, another. Every call is pure inference, so a retry is safe.
   * Errors: NETWORK_FAILED, REMOTE_BUSY, REMOTE_PROTOCOL, MODEL_UNKNOWN, OUT_OF_MEMORY, CONFIG_INVALID, ABORTED, DEADLINE_EXCEEDED.
   */
  call<T>(call: Call<T>): Promise<T>;
  /** For metrics and `doctor`. */
  state(): readonly {
    readonly url: string;
    readonly inFlight: number;
    readonly breaker: 'closed' | 'open' | 'half-open';
  }[];
}

interface Endpoint {
  readonly url: string;
  readonly token: string | undefined;
  readonly breaker: CircuitBreakerPolicy;
  readonly limiter: Limiter;
  inFlight: number;
  /** Milliseconds since the epoch from which an open breaker lets one call through again. */
  shutUntil: number;
}

/** Errors: CONFIG_INVALID for no endpoint, or one that is no http(s) URL. */
export function createEndpoints(options: EndpointsOptions): Endpoints {
  const { inFlight = IN_FLIGHT, retries = 2, attemptMs = ATTEMPT_MS } = options;
  const { breaker = { failures: 4, openMs: 5_000 } } = options;
  const fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
  const all = options.endpoints.map((given): Endpoint => {
    const { url, token } =
      typeof given === 'string' ? { url: given, token: undefined } : { token: undefined, ...given };
    const circuit = circuitBreaker(handleWhen(isBroken), {
      halfOpenAfter: breaker.openMs,
      breaker: new ConsecutiveBreaker(breaker.failures),
    });
    const limiter = createLimiter(inFlight);
    const endpoint: Endpoint = { url: baseOf(url), token, breaker: circuit, limiter, inFlight: 0, shutUntil: 0 };
    circuit.onBreak(() => {
      endpoint.shutUntil = Date.now() + breaker.openMs;
    });
    return endpoint;
  });
  if (all.length === 0) throw new ElfinError('CONFIG_INVALID', 'A remote runtime needs at least one endpoint.');

  async function attempt<T>(endpoint: Endpoint, call: Call<T>): Promise<T> {
    const left = Math.min(LONGEST_WAIT, attemptMs, (call.deadline ?? Number.POSITIVE_INFINITY) - Date.now());
    const clock = AbortSignal.timeout(Math.max(0, Math.ceil(left)));
    const signal = call.signal ? AbortSignal.any([call.signal, clock]) : clock;
    const headers = { ...call.headers, ...(endpoint.token && { Authorization: `Bearer ${endpoint.token}` }) };
    const { method, body } = call;
    try {
      const url = endpoint.url + call.path;
      // `manual` and not `error`, which workerd does not know; a redirect is no 2xx and so a failure either way.
      const response = await fetch(url, { method, headers, signal, redirect: 'manual', ...(body && { body }) });
      if (!response.ok) throw await failureOfResponse(response, endpoint.url);
      return await call.read(response, endpoint.url);
    } catch (error) {
      throw isElfinError(error) ? error : failureOfTransport(error, endpoint.url, call);
    }
  }

  /**
   * Healthy ones first, then the least busy; those already tried come last. One whose breaker was open for long enough gets
   * a call like any other, since nothing else would ever show that it is back; but one, until it has answered that.
   */
  function choose(call: Call<unknown>, tried: ReadonlySet<Endpoint>): Endpoint | undefined {
    const doubtful = ({ breaker: { state }, shutUntil, inFlight: now }: Endpoint) =>
      state === CircuitState.Open ? Date.now() < shutUntil || now > 0 : state === CircuitState.HalfOpen;
    const rank = (endpoint: Endpoint) =>
      (tried.has(endpoint) ? 1e6 : 0) +
      (doubtful(endpoint) || call.last?.has(endpoint.url) ? 1e5 : 0) +
      endpoint.inFlight;
    return all
      .filter(({ url }) => call.among?.has(url) ?? true)
      .reduce<Endpoint | undefined>((best, next) => (best && rank(best) <= rank(next) ? best : next), undefined);
  }

  return {
    urls: all.map(({ url }) => url),
    async call(call) {
      const tried = new Set<Endpoint>();
      for (let attempts = 1; ; attempts += 1) {
        const endpoint = choose(call, tried);
        if (!endpoint) throw new ElfinError('NETWORK_FAILED', 'No endpoint is left that serves this model.');
        tried.add(endpoint);
        endpoint.inFlight += 1;
        try {
          // A call that waits for others to end is let go when its own time is up: the queue knows of no clock.
          return await interruptible(
            endpoint.limiter.run(async () => {
              call.signal?.throwIfAborted();
              return endpoint.breaker.execute(() => attempt(endpoint, call));
            }),
            {
              signals: [[call.signal, ({ reason }) => reason]],
              deadline: call.deadline,
              late: () => new DOMException('Late.', 'TimeoutError'),
            },
          );
        } catch (thrown) {
          const error = fromPolicy(thrown, endpoint.url, call);
          const fresh = all.some((other) => !tried.has(other) && (call.among?.has(other.url) ?? true));
          // An unknown model may be that endpoint's own; a garbled answer is not asked for twice.
          const elsewhere = fresh && (error.code === 'MODEL_UNKNOWN' || error.code === 'REMOTE_PROTOCOL');
          // Who hangs over a question of a few bytes will do so again.
          const hopeless = call.method === 'GET' && error.data.hung === true && !fresh;
          const transient = (error.code === 'NETWORK_FAILED' && !hopeless) || error.code === 'REMOTE_BUSY';
          if (attempts > retries || !(elsewhere || transient)) throw error;
          if (!fresh) await pause(error, attempts, call);
        } finally {
          endpoint.inFlight -= 1;
        }
      }
    },
    state: () =>
      all.map(({ url, inFlight: now, breaker: { state } }) => ({
        url,
        inFlight: now,
        breaker: state === CircuitState.Open ? 'open' : state === CircuitState.HalfOpen ? 'half-open' : 'closed',
      })),
  };
}

/** A busy worker is a healthy one; a silent, garbled or unreachable one is not. */
function isBroken(error: unknown): boolean {
  return isElfinError(error) && (error.code === 'NETWORK_FAILED' || error.code === 'REMOTE_PROTOCOL');
}

function fromPolicy(error: unknown, url: string, call: Call<unknown>): ElfinError {
  if (isElfinError(error)) return error;
  if (error instanceof BrokenCircuitError)
    return new ElfinError('NETWORK_FAILED', `${url} failed several times in a row and is left alone for a while.`, {
      cause: error,
    });
  return failureOfTransport(error, url, call);
}

/**
 * Waits as long as the worker asked for, {@link LONGEST_PAUSE} at most, else 50…100 ms, doubled each time. Errors: ABORTED, or
 * `error` when time is up.
 */
async function pause(error: ElfinError, attempts: number, { signal, deadline }: Call<unknown>): Promise<void> {
  const ms = Math.min(LONGEST_PAUSE, adviceOf(error) ?? (50 + Math.random() * 50) * 2 ** (attempts - 1));
  if (deadline !== undefined && Date.now() + ms >= deadline) throw error;
  await wait(ms, signal);
}

function baseOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !/^https?:$/.test(parsed.protocol) || parsed.username || parsed.search || parsed.hash)
    throw new ElfinError('CONFIG_INVALID', `"${url}" is not a worker's address: give http(s)://host[:port][/path].`);
  return parsed.href.replace(/\/$/, '');
}
