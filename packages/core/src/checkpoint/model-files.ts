import { mkdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ElfinError } from '../base/errors.ts';
import { sha256 } from '../base/sha256.ts';
import { parseManifest } from '../model/manifest.ts';
import type { ModelRef } from '../model/models.ts';
import { onnxManifest } from '../model/onnx-file.ts';
import { writeAtomically } from '../restore/atomic.ts';
import { pathOf } from '../restore/node-input.ts';
import type { ImportOptions } from '../weights/index.ts';
import { type ImportedModel, importCheckpoint } from './import-checkpoint.ts';
import { createModelRef } from './model-ref.ts';

/** Far beyond any of ELF's weights with an optimiser's state beside them. */
const MOST_BYTES = 512 * 1024 * 1024;

/**
 * A model out of files: a folder with `manifest.json` and `weights.safetensors`, or a bare `.safetensors`, `.pth` or `.pt` file,
 * which is imported in memory. An `.onnx` file is run as it is, tiled as `whole` or `local`.
 * @param options what a bare file does not say itself; a folder's manifest says everything
 * @throws MODEL_UNKNOWN where nothing is, OPTION_INVALID for a URL that names no file, INPUT_UNREADABLE, MANIFEST_INVALID, and for bare files what
 * {@link importCheckpoint} throws
 */
export async function loadModel(path: string | URL, options: Omit<ImportOptions, 'where'> = {}): Promise<ModelRef> {
  const name = path instanceof URL ? pathOf(path) : path;
  const info = await stat(name).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') throw unknown(name, 'Nothing is there', cause);
    throw unreadable(name, cause);
  });
  if (/\.onnx$/i.test(name)) {
    const bytes = await read(name);
    return createModelRef(onnxManifest(bytes, await sha256(bytes), options, name), async () => bytes);
  }
  if (!info.isDirectory()) {
    const { manifest, weights } = await importCheckpoint(await read(name), { ...options, where: name });
    return createModelRef(manifest, async () => weights);
  }
  const text = await read(join(name, 'manifest.json')).catch((error: unknown) => {
    throw isMissing(error) ? unknown(name, 'The folder has no manifest.json', error) : error;
  });
  const manifest = parseManifest(new TextDecoder().decode(text), join(name, 'manifest.json'));
  return createModelRef(manifest, () => read(join(name, 'weights.safetensors')));
}

/**
 * Writes a model folder that {@link loadModel} reads. Both files appear whole or not at all, the manifest last.
 * @throws OUTPUT_EXISTS where a file of either name is there and `force` is not set; OUTPUT_UNWRITABLE
 */
export async function writeModel(
  folder: string,
  { manifest, weights }: Pick<ImportedModel, 'manifest' | 'weights'>,
  { force = false }: { readonly force?: boolean } = {},
): Promise<void> {
  const files = [
    ['weights.safetensors', weights],
    ['manifest.json', new TextEncoder().encode(`${JSON.stringify(manifest, null, 2)}\n`)],
  ] as const;
  try {
    await mkdir(folder, { recursive: true });
    for (const [name] of files) if (!force) await refuseExisting(join(folder, name));
    for (const [name, content] of files) await writeAtomically(join(folder, name), content, { force });
  } catch (cause) {
    if (cause instanceof ElfinError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    throw new ElfinError('OUTPUT_UNWRITABLE', `Cannot write the model to ${folder} (${code}): choose another folder.`, {
      cause,
    });
  }
}

async function refuseExisting(path: string): Promise<void> {
  const there = await stat(path).catch(() => undefined);
  if (there) throw new ElfinError('OUTPUT_EXISTS', `${path} exists: choose another folder, or force overwriting.`);
}

async function read(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > MOST_BYTES)
      throw new ElfinError('WEIGHTS_UNSUPPORTED', `${path} has ${size} bytes; at most ${MOST_BYTES} are read.`);
    return await readFile(path);
  } catch (cause) {
    throw cause instanceof ElfinError ? cause : unreadable(path, cause);
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof ElfinError && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}

function unknown(path: string, problem: string, cause: unknown): ElfinError {
  const message =
    `There is no model at ${path}. ${problem}: give a folder with manifest.json and weights.safetensors, ` +
    'or a .safetensors, .pth or .pt file.';
  return new ElfinError('MODEL_UNKNOWN', message, { cause, data: { path } });
}

function unreadable(path: string, cause: unknown): ElfinError {
  const { code = 'failure' } = cause as NodeJS.ErrnoException;
  return new ElfinError('INPUT_UNREADABLE', `Cannot read ${basename(path)} (${code} at ${path}).`, { cause });
}
