import { basename, extname } from 'node:path';
import { ElfinError } from '../base/errors.ts';
import { classify as byFeatures } from '../classify/classify.ts';
import { type Codec, DEFAULT_LIMITS, type OutputFormat } from '../image/codec.ts';
import { assembleRestorer, decode, type RestoreInput, type Restorer, type RestorerOptions } from '../restorer.ts';
import { createNodeRuntime } from '../runtime/node/node.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { checkWritable, type WriteOptions, writeAtomically } from './atomic.ts';
import type { Classified, ClassifyOptions } from './classify-file.ts';
import type { EncodedOptions, RestoredBytes } from './encoded.ts';
import { RestoreEngine, type RestoreEngineOptions } from './engine.ts';
import { type EncodedInput, isEncoded, readBytes } from './input.ts';
import { readLocation } from './node-input.ts';
import type { RestoreOptions } from './options.ts';

/** A path, a `file:` URL or an `http(s):` URL, beside everything that is taken elsewhere. */
export type NodeRestoreInput = RestoreInput | string | URL;

/** As {@link EncodedOptions}, and whether an existing file is replaced. */
export interface FileRestoreOptions extends EncodedOptions, WriteOptions {}

/** {@link Restorer} for files and URLs; encoded images pass through in bounded memory. */
export interface NodeRestorer extends Restorer<NodeRestoreInput> {
  /**
   * Encoded image in, encoded image out, in memory bounded whatever the image's size: pixels lie in temporary files. It always
   * works with sharp, whichever codec the restorer has. Errors: as `restore`, and OUTPUT_UNWRITABLE when the disk is full.
   */
  restoreEncoded(input: EncodedInput | string | URL, options: EncodedOptions): Promise<RestoredBytes>;
  /**
   * As `restoreEncoded`, into a file that appears whole or not at all. Its extension decides the format where `format` does
   * not. Whether it can be written is checked before any work is done. Errors: also OUTPUT_EXISTS (unless `force`).
   */
  restoreFile(
    input: EncodedInput | string | URL,
    output: string,
    options: FileRestoreOptions,
  ): Promise<Omit<RestoredBytes, 'bytes'>>;
  /**
   * What `task: 'auto'` would go by, without restoring: no network runs. Errors: those of `restoreEncoded` for what cannot be read
   * or decoded.
   *
   * @example
   * ```ts
   * const { classification } = await restorer.classify('photo.jpg');
   * console.log(classification.task, classification.confidence);
   * ```
   */
  classify(input: EncodedInput | string | URL, options?: ClassifyOptions): Promise<Classified>;
}

/** {@link RestorerOptions}, of which Node needs nothing but `models`. */
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
 * The facade for Node: as `createRestorer` everywhere, with onnxruntime-node, sharp and the classifier where nothing else is given, and
 * with paths and URLs as inputs. URLs are fetched as they are: take none from strangers (packages/edge has rules for that).
 */
export function createRestorer(options: NodeRestorerOptions): NodeRestorer {
  const { timeout = TIMEOUT } = options;
  if (!(timeout > 0)) throw new ElfinError('OPTION_INVALID', `timeout must be milliseconds above 0, not ${timeout}.`);
  const parts = withDefaults(options);
  const engine = new RestoreEngine(parts);
  const restorer = assembleRestorer<NodeRestoreInput>(engine, async (input, given) => {
    const located = await locate(input, given, timeout);
    const codec = options.codec ?? (isEncoded(located) ? await loadSharpCodec() : undefined);
    return decode(located, codec, given);
  });
  const restoreEncoded: NodeRestorer['restoreEncoded'] = async (input, given) => {
    await loadSharpCodec();
    const { restoreThroughFiles } = await import('./encoded.ts');
    return restoreThroughFiles(engine, encodedBytes(input, timeout), given);
  };
  return {
    ...restorer,
    restoreEncoded,
    async classify(input, given = {}) {
      await loadSharpCodec();
      const { classifyThroughFiles } = await import('./classify-file.ts');
      return classifyThroughFiles(engine, parts.classify, encodedBytes(input, timeout), given);
    },
    async restoreFile(input, output, { force, ...given }) {
      const format = given.format ?? formatOf(output);
      if (!format) {
        throw new ElfinError(
          'OPTION_INVALID',
          `The name ${basename(output)} does not tell a format; end it in ${Object.keys(EXTENSIONS).join(', ')}, or give format.`,
        );
      }
      const replace = force === undefined ? {} : { force };
      await checkWritable(output, replace);
      const { bytes, ...restored } = await restoreEncoded(input, { ...given, format });
      await writeAtomically(output, bytes, replace);
      return restored;
    },
  };
}

const EXTENSIONS: Readonly<Record<string, OutputFormat>> = {
  '.jpg': 'jpeg',
  '.jpeg': 'jpeg',
  '.png': 'png',
  '.webp': 'webp',
  '.avif': 'avif',
  '.tif': 'tiff',
  '.tiff': 'tiff',
};

/** The format that a file's extension stands for, where it is one that is written. */
export function formatOf(path: string): OutputFormat | undefined {
  return EXTENSIONS[extname(path).toLowerCase()];
}

function withDefaults({
  runtime = createNodeRuntime(),
  classify = byFeatures,
  ...options
}: NodeRestorerOptions): RestoreEngineOptions {
  return { ...options, runtime, classify };
}

/** Reads an input whole when its turn has come. Errors: OPTION_INVALID for pixels. */
function encodedBytes(input: NodeRestoreInput, timeout: number) {
  return async (limited: Pick<RestoreOptions, 'limits' | 'signal'>): Promise<Uint8Array> => {
    const located = await locate(input, limited, timeout);
    if (isEncoded(located)) return readBytes(located, bytesLimit(limited), limited.signal);
    throw new ElfinError('OPTION_INVALID', 'Only encoded images are read this way; use restore for pixels.');
  };
}

async function locate(
  input: NodeRestoreInput,
  options: Pick<RestoreOptions, 'limits' | 'signal'>,
  timeout: number,
): Promise<unknown> {
  if (typeof input !== 'string' && !(input instanceof URL)) return input;
  const { signal } = options;
  return readLocation(input, { limit: bytesLimit(options), timeout, ...(signal && { signal }) });
}

function bytesLimit({ limits }: Pick<RestoreOptions, 'limits'>): number {
  return limits?.bytes ?? DEFAULT_LIMITS.bytes;
}

let sharp: Promise<Codec> | undefined;

/** The codec over sharp, an optional peer that is loaded now. Errors: RUNTIME_UNAVAILABLE. */
export function loadSharpCodec(): Promise<Codec> {
  sharp ??= import('../image/codecs/sharp.ts').then(
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
