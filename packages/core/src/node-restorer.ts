import { ElfinError } from './errors.ts';
import { type Codec, DEFAULT_LIMITS } from './image/codec.ts';
import { isEncoded } from './restore/input.ts';
import { readLocation } from './restore/node-input.ts';
import type { RestoreOptions } from './restore/options.ts';
import { createWorkshop, type WorkshopOptions } from './restore/work.ts';
import { assembleRestorer, decode, type RestoreInput, type Restorer, type RestorerOptions } from './restorer.ts';
import { createNodeRuntime } from './runtime/node.ts';
import type { Runtime } from './runtime/runtime.ts';

/** A path, a `file:` URL or an `http(s):` URL, beside everything that is taken elsewhere. */
export type NodeRestoreInput = RestoreInput | string | URL;

export interface NodeRestorerOptions extends Omit<RestorerOptions, 'runtime'> {
  /** `createNodeRuntime()` by default. */
  readonly runtime?: Runtime;
  /** sharp by default, an optional peer. */
  readonly codec?: Codec;
  /** Milliseconds that a server may take to answer an http(s) input in full; 30,000 by default. */
  readonly timeout?: number;
}

const TIMEOUT = 30_000;

/**
 * The facade for Node: as `createRestorer` everywhere, with onnxruntime-node and sharp where nothing else is given, and
 * with paths and URLs as inputs. URLs are fetched as they are: take none from strangers (packages/edge has rules for that).
 */
export function createRestorer(options: NodeRestorerOptions): Restorer<NodeRestoreInput> {
  const { timeout = TIMEOUT } = options;
  if (!(timeout > 0)) throw new ElfinError('OPTION_INVALID', `timeout must be milliseconds above 0, not ${timeout}.`);
  const workshop = createWorkshop(withRuntime(options));
  return assembleRestorer(workshop, async (input, given) => {
    const located = await locate(input, given, timeout);
    const codec = options.codec ?? (isEncoded(located) ? await loadSharpCodec() : undefined);
    return decode(located, codec, given);
  });
}

function withRuntime({ runtime = createNodeRuntime(), ...options }: NodeRestorerOptions): WorkshopOptions {
  return { ...options, runtime };
}

async function locate(input: NodeRestoreInput, { limits, signal }: RestoreOptions, timeout: number): Promise<unknown> {
  if (typeof input !== 'string' && !(input instanceof URL)) return input;
  const limit = limits?.bytes ?? DEFAULT_LIMITS.bytes;
  return readLocation(input, { limit, timeout, ...(signal && { signal }) });
}

let sharp: Promise<Codec> | undefined;

/** The codec over sharp, an optional peer that is loaded now. Errors: RUNTIME_UNAVAILABLE. */
export function loadSharpCodec(): Promise<Codec> {
  sharp ??= import('./image/codecs/sharp.ts').then(
    ({ createSharpCodec }) => createSharpCodec(),
    (cause: unknown) => {
      sharp = undefined;
      const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
      throw new ElfinError('RUNTIME_UNAVAILABLE', `sharp cannot be loaded; run: npm install sharp (${reason})`, {
        cause,
      });
    },
  );
  return sharp;
}
