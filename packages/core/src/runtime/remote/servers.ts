import { ElfinError, type ElfinErrorCode, isElfinError, throwIfAborted } from '../../base/errors.ts';
import { DATATYPES } from '../../protocol/open-inference.ts';
import { readBounded } from '../../protocol/read-bounded.ts';
import type { SessionOptions } from '../runtime.ts';
import type { Endpoints } from './endpoints.ts';

/** Who may run a graph, as far as is known: both sets change while answers are still coming in. */
export interface Servers {
  /** All endpoints but those that refused: one that is down or busy now may be the only one left later. */
  readonly among: ReadonlySet<string>;
  /** Those of them that have not said anything yet. */
  readonly silent: ReadonlySet<string>;
  /** Waits for no further answer. */
  close(): void;
}

/** What an endpoint answers that will not run the graph later either. */
const REFUSALS: ReadonlySet<ElfinErrorCode> = new Set(['MODEL_UNKNOWN', 'REMOTE_PROTOCOL', 'CONFIG_INVALID']);

/** Milliseconds that the others may answer behind the first: those get tiles from the beginning. */
const GRACE = 250;

/**
 * Asks all endpoints side by side whether they serve exactly this graph, and is there soon after the first that does. Errors:
 * MODEL_UNKNOWN where every one that answers lacks it, else the first failure; ABORTED.
 */
export async function findServers(
  endpoints: Endpoints,
  name: string,
  { io }: SessionOptions,
  signal: AbortSignal | undefined,
): Promise<Servers> {
  throwIfAborted(signal);
  const [among, silent] = [new Set(endpoints.urls), new Set(endpoints.urls)];
  const path = `/v2/models/${encodeURIComponent(name)}`;
  const asking = new AbortController();
  const answers = endpoints.urls.map(async (url) => {
    try {
      await endpoints.call({
        method: 'GET',
        path,
        among: new Set([url]),
        signal: asking.signal,
        read: async (response) => checkMetadata(await readBounded(response.body, 1 << 20), name, io, url),
      });
    } catch (error) {
      if (isElfinError(error) && REFUSALS.has(error.code)) among.delete(url);
      throw error;
    } finally {
      silent.delete(url);
    }
  });
  const stop = () => asking.abort(signal?.reason);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    await Promise.any(answers);
    await soon(Promise.allSettled(answers));
    throwIfAborted(signal);
  } catch (error) {
    asking.abort();
    if (!(error instanceof AggregateError)) throw error;
    const failures: readonly { code?: unknown }[] = error.errors;
    throw failures.find(({ code }) => code !== 'MODEL_UNKNOWN') ?? failures[0];
  } finally {
    signal?.removeEventListener('abort', stop);
  }
  return { among, silent, close: () => asking.abort() };
}

async function soon(work: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  await Promise.race([
    work,
    new Promise((resolve) => {
      timer = setTimeout(resolve, GRACE);
    }),
  ]);
  clearTimeout(timer);
}

function checkMetadata(bytes: Uint8Array | undefined, name: string, io: SessionOptions['io'], url: string): void {
  const refuse = (reason: string) =>
    new ElfinError('REMOTE_PROTOCOL', `${url} describes ${name} wrongly: ${reason}.`, { data: { endpoint: url } });
  let metadata: { name?: unknown; inputs?: unknown };
  try {
    metadata = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new ElfinError('REMOTE_PROTOCOL', `${url} is no inference server: its answer is not JSON.`, { cause });
  }
  if (metadata?.name !== name) throw refuse('it names another model');
  const inputs: unknown[] = Array.isArray(metadata.inputs) ? metadata.inputs : [];
  const image = inputs.find((input) => (input as { name?: unknown } | null)?.name === 'image');
  const datatype = (image as { datatype?: unknown } | undefined)?.datatype;
  if (datatype !== DATATYPES[io === 'uint8' ? 'uint8' : 'float32']) throw refuse(`its image is ${String(datatype)}`);
}
