import { interruptible, throwIfLate } from '../base/deadline.ts';
import { aborted, ElfinError, isElfinError, throwIfAborted } from '../base/errors.ts';
import type { Limiter } from '../base/limiter.ts';
import { elements } from '../base/tensor.ts';
import type { Engine, Loaded } from './engine.ts';
import type { Backend, Feeds, Outputs, RunOptions, Session } from './runtime.ts';

/** A graph in an engine, and what runs it. */
export interface Opened {
  readonly engine: Engine;
  readonly loaded: Loaded;
  readonly backend: Backend;
}

/**
 * A session over a graph that `open` loads. After a failure that may leave the graph's memory in disorder (exhausted memory,
 * a worker thread that died) the next call loads it anew. `queue` bounds what runs at once, over all sessions of a runtime.
 */
export function createSession(first: Opened, open: () => Promise<Opened>, queue: Limiter): Session {
  const closing = new AbortController();
  let current: Opened | undefined = first;

  async function work(feeds: Feeds, options: RunOptions): Promise<Outputs> {
    throwIfOver(options, closing.signal);
    current ??= await open();
    const { engine, loaded } = current;
    checkFeeds(feeds, loaded);
    try {
      return await engine.run(loaded.handle, feeds, options.outputs);
    } catch (error) {
      if (isElfinError(error) && (error.code === 'OUT_OF_MEMORY' || error.code === 'RUNTIME_FAILED')) {
        current = undefined;
        await engine.unload(loaded.handle).catch(() => {});
      }
      throw error;
    }
  }

  const session: Session = {
    backend: first.backend,
    async run(feeds, options = {}) {
      throwIfOver(options, closing.signal);
      // ONNX Runtime cannot be stopped in the middle of a graph. The caller is let go at once; the queue's slot stays taken
      // until the graph has ended, so that memory is never asked for twice.
      const { signal, deadline } = options;
      return interruptible(
        queue.run(() => work(feeds, options)),
        {
          signals: [
            [signal, aborted],
            [closing.signal, disposed],
          ],
          deadline,
        },
      );
    },
    async dispose() {
      if (closing.signal.aborted) return;
      closing.abort();
      await queue.run(async () => {
        await current?.engine.unload(current.loaded.handle);
        current = undefined;
      });
    },
    [Symbol.asyncDispose]: () => session.dispose(),
  };
  return session;
}

function throwIfOver({ signal, deadline }: RunOptions, closing: AbortSignal): void {
  if (closing.aborted) throw disposed();
  throwIfAborted(signal);
  throwIfLate(deadline);
}

function disposed(): ElfinError {
  return new ElfinError('DISPOSED', 'The session is closed; open the model again.');
}

/** Names, types and shapes against what the graph declares, before anything is copied. Throws OPTION_INVALID. */
function checkFeeds(feeds: Feeds, { inputs }: Loaded): void {
  for (const { name, type, shape } of inputs) {
    const tensor = feeds[name];
    const wanted = `${type} [${shape.join(', ')}]`;
    if (!tensor) throw new ElfinError('OPTION_INVALID', `The graph's input ${name}, ${wanted}, is not fed.`);
    const fits =
      tensor.type === type &&
      tensor.shape.length === shape.length &&
      shape.every((side, axis) => typeof side === 'string' || side === tensor.shape[axis]) &&
      tensor.data.length === elements(tensor.shape);
    if (!fits) {
      throw new ElfinError(
        'OPTION_INVALID',
        `The graph's input ${name} is ${wanted}, but ${tensor.data.length} values of ${tensor.type} [${tensor.shape.join(', ')}] were fed.`,
      );
    }
  }
  const known = new Set(inputs.map(({ name }) => name));
  const odd = Object.keys(feeds).find((name) => !known.has(name));
  if (odd) {
    throw new ElfinError('OPTION_INVALID', `The graph has no input ${odd}; it has ${[...known].join(', ')}.`);
  }
}
