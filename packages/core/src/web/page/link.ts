import { aborted, ElfinError } from '../../base/errors.ts';
import type { Download } from '../../model/models.ts';
import type { Calls, Questions, Settings, ToPage, ToWorker } from '../messages.ts';
import { fromWire, toWire } from '../wire.ts';
import { watchStart } from './start-worker.ts';

/** What the page's side must be able to answer. */
export type Answers = { [N in keyof Questions]: (ask: Questions[N]['ask']) => Promise<Questions[N]['answer']> };

export type Hooks = {
  readonly progress?: ((progress: Extract<ToPage, { kind: 'progress' }>['progress']) => void) | undefined;
  readonly tile?: ((tile: Extract<ToPage, { kind: 'tile' }>['tile']) => void) | undefined;
};

export interface LinkOptions {
  readonly worker: () => Worker;
  readonly settings: Settings;
  readonly answers: Answers;
  readonly onDownload: (download: Download) => void;
  /** The WebGPU device is gone. */
  readonly onLost: () => void;
}

/** A worker that is running. */
export interface Link {
  alive(): boolean;
  call<N extends keyof Calls>(
    name: N,
    ask: Calls[N]['ask'],
    options: { readonly signal?: AbortSignal | undefined; readonly transfer?: Transferable[]; readonly hooks?: Hooks },
  ): Promise<Calls[N]['answer']>;
  /** Ends the worker, and with it all its memory; calls under way get `error`. */
  end(error: ElfinError): void;
}

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (error: ElfinError) => void;
  readonly hooks: Hooks;
}

/**
 * Starts a worker and speaks with it. Not by a general RPC library: calls must end when the worker dies, errors must keep their
 * codes, and an abort must reach a call that is under way.
 */
export function openLink({ worker: make, settings, answers, onDownload, onLost }: LinkOptions): Link {
  const { worker, refused, failure, end: endWatch } = watchStart(make);
  const waiting = new Map<number, Waiting>();
  let next = 1;
  let ready = false;
  let ended: ElfinError | undefined;
  const tell = (message: ToWorker, transfer: Transferable[] = []) => worker?.postMessage(message, transfer);

  function end(error: ElfinError): void {
    if (ended) return;
    ended = error;
    endWatch();
    worker?.terminate();
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  }

  async function answer({ id, name, ask }: Extract<ToPage, { kind: 'question' }>): Promise<void> {
    try {
      const value = await (answers[name] as (ask: unknown) => Promise<unknown>)(ask);
      if (!ended) tell({ kind: 'answer', id, value });
    } catch (error) {
      if (!ended) tell({ kind: 'refusal', id, error: toWire(error) });
    }
  }

  function hear(message: ToPage): void {
    if (ended) return;
    if (message.kind === 'ready') {
      ready = true;
      endWatch();
    } else if (message.kind === 'download') onDownload(message.download);
    else if (message.kind === 'lost') {
      onLost();
      const lost = `The GPU was lost (${message.reason}); try again, it starts afresh.`;
      end(new ElfinError('RUNTIME_FAILED', lost, { data: { lost: true } }));
    } else if (message.kind === 'question') void answer(message);
    else if (message.kind === 'progress') waiting.get(message.id)?.hooks.progress?.(message.progress);
    else if (message.kind === 'tile') waiting.get(message.id)?.hooks.tile?.(message.tile);
    else {
      const call = waiting.get(message.id);
      waiting.delete(message.id);
      if (message.kind === 'result') call?.resolve(message.value as never);
      else {
        const error = fromWire(message.error);
        call?.reject(error);
        if (error.data.restart === true) end(error);
      }
    }
  }
  async function die(cause: unknown): Promise<void> {
    end(
      ready
        ? new ElfinError('RUNTIME_FAILED', `The worker that restores images died: ${cause}. Try again.`)
        : await failure(cause),
    );
  }
  if (!worker) void die(refused);
  else {
    worker.onmessage = ({ data }: MessageEvent<ToPage>) => hear(data);
    worker.onerror = (event) => {
      event.preventDefault();
      void die(event.message);
    };
  }
  tell({ kind: 'settings', settings });

  return {
    alive: () => !ended,
    call(name, ask, { signal, transfer = [], hooks = {} }) {
      if (ended) return Promise.reject(ended);
      const id = next++;
      return new Promise((resolve, reject) => {
        const abort = () => {
          tell({ kind: 'abort', id });
          waiting.delete(id);
          reject(aborted(signal));
        };
        const off = () => signal?.removeEventListener('abort', abort);
        waiting.set(id, {
          resolve(value) {
            off();
            resolve(value);
          },
          reject(error) {
            off();
            reject(error);
          },
          hooks,
        });
        if (signal?.aborted) return abort();
        signal?.addEventListener('abort', abort, { once: true });
        try {
          tell({ kind: 'call', id, name, ask } as ToWorker, transfer);
        } catch (cause) {
          waiting.delete(id);
          off();
          reject(new ElfinError('OPTION_INVALID', `An option cannot be sent to the worker: ${cause}`, { cause }));
        }
      });
    },
    end,
  };
}
