import { ElfinError, type ElfinErrorCode, type ErrorData, isElfinError } from '../../base/errors.ts';
import type { Tensor } from '../../base/tensor.ts';
import { toElfinError } from '../ort/ort.ts';
import type { Outputs } from '../runtime.ts';
import type { NodeEngine } from './native.ts';

/** How messages reach the far end. */
export interface MessageEndpoint {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
}

type Method = keyof NodeEngine;
interface Call {
  readonly id: number;
  readonly method: Method;
  readonly arguments: readonly unknown[];
}
type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: { code: ElfinErrorCode; message: string; data: ErrorData; cause?: string } };

/** The worker's side: answers calls by an engine that lives in this thread. Feed it every message received. */
export function serveEngine(engine: NodeEngine, endpoint: MessageEndpoint): (message: unknown) => Promise<void> {
  return async (message) => {
    const { id, method, arguments: given } = message as Call;
    try {
      const value = await (engine[method] as (...given: readonly unknown[]) => Promise<unknown>)(...given);
      endpoint.postMessage({ id, value } satisfies Answer, method === 'run' ? buffers(value as Outputs) : []);
    } catch (error) {
      const { code, message, data, cause } = isElfinError(error) ? error : toElfinError(`serve ${method}`, error);
      const told = { code, message, data, ...(cause === undefined ? {} : { cause: String(cause) }) };
      endpoint.postMessage({ id, error: told } satisfies Answer, []);
    }
  };
}

/** The caller's side: an engine whose work is done on the far end. */
export function callEngine(
  endpoint: MessageEndpoint,
  busy: (calls: number) => void,
): {
  readonly engine: NodeEngine;
  receive(message: unknown): void;
  /** The far end is gone: what was asked of it, and whatever will be, fails with this. */
  fail(error: ElfinError): void;
  /** When no call is under way. */
  settled(): Promise<void>;
} {
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: ElfinError): void }>();
  let next = 1;
  let lost: ElfinError | undefined;
  let last: Promise<unknown> = Promise.resolve();
  const call = (method: Method, ...given: unknown[]): Promise<unknown> => {
    if (lost) return Promise.reject(lost);
    const id = next++;
    const answer = new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      busy(waiting.size);
      // Feeds are copied, not moved: the caller may use its arrays again.
      endpoint.postMessage({ id, method, arguments: given } satisfies Call, []);
    });
    // Of a settled call nothing is kept: the chain would hold every tile's outputs for ever.
    last = Promise.allSettled([last, answer]).then(() => undefined);
    return answer;
  };
  return {
    engine: {
      describe: () => call('describe') as ReturnType<NodeEngine['describe']>,
      load: (...given) => call('load', ...given) as ReturnType<NodeEngine['load']>,
      run: (...given) => call('run', ...given) as ReturnType<NodeEngine['run']>,
      unload: (...given) => call('unload', ...given) as ReturnType<NodeEngine['unload']>,
    },
    receive(message) {
      const answer = message as Answer;
      const call = waiting.get(answer.id);
      waiting.delete(answer.id);
      busy(waiting.size);
      if ('value' in answer) call?.resolve(answer.value);
      else {
        const { code, message, data, cause } = answer.error;
        call?.reject(new ElfinError(code, message, { data, cause }));
      }
    },
    fail(error) {
      lost = error;
      for (const { reject } of waiting.values()) reject(error);
      waiting.clear();
      busy(0);
    },
    async settled() {
      await last;
    },
  };
}

function buffers(outputs: Outputs): ArrayBuffer[] {
  return [...new Set(Object.values(outputs).map(({ data }: Tensor) => data.buffer as ArrayBuffer))];
}
