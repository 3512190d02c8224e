import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { ElfinError } from '../../base/errors.ts';
import type { Engine } from '../engine.ts';
import { createOrtEngine, type Ort } from '../ort/ort.ts';
import { silenceTelemetry } from './telemetry.ts';

/** onnxruntime-node beyond what it shares with onnxruntime-web. */
export type OrtNode = Ort & {
  listSupportedBackends(): readonly { readonly name: string; readonly bundled: boolean }[];
};

/** What there is to run graphs with. */
export interface OrtFacts {
  readonly name: 'onnxruntime-node' | 'onnxruntime-web';
  readonly version: string;
  /** Execution providers that this build knows. */
  readonly providers: readonly string[];
  /** CUDA's libraries lie beside onnxruntime-node. */
  readonly cuda: boolean;
  /** Why it is onnxruntime-web. */
  readonly reason?: string | undefined;
  /** onnxruntime-node is here, and the system refuses to load it into this process: perhaps another version is loaded already. */
  readonly refused?: boolean | undefined;
}

/** An engine that tells what it runs on. Errors of `describe`: RUNTIME_UNAVAILABLE. */
export interface NodeEngine extends Engine {
  describe(): Promise<OrtFacts>;
}

/**
 * ONNX Runtime in this very thread: onnxruntime-node, or where that cannot be had and `wasm` allows it, onnxruntime-web. `silent`
 * keeps its own words from the terminal: a GPU library that is missing becomes a reason in `backend.declined` and nothing else.
 */
export function createNodeEngine({ wasm, silent = false }: { wasm: boolean; silent?: boolean }): NodeEngine {
  let found: Promise<{ readonly ort: Ort; readonly facts: OrtFacts }> | undefined;
  const find = () => {
    found ??= findOrt(wasm).then((it) => {
      if (silent) it.ort.env.logLevel = 'fatal';
      return it;
    });
    // What could not be loaded once is tried anew the next time.
    found.catch(() => {
      found = undefined;
    });
    return found;
  };
  return { ...createOrtEngine(async () => (await find()).ort), describe: async () => (await find()).facts };
}

async function findOrt(wasm: boolean): Promise<{ readonly ort: Ort; readonly facts: OrtFacts }> {
  try {
    const ort = await importOrtNode();
    const providers = ort.listSupportedBackends().map(({ name }) => name);
    const cuda = await besideOrt('libonnxruntime_providers_cuda.so');
    return { ort, facts: { name: 'onnxruntime-node', version: ort.env.versions.node ?? '', providers, cuda } };
  } catch (error) {
    const web = wasm ? await importOrtWeb() : undefined;
    if (!web) throw error;
    const { message, data } = error as ElfinError;
    const facts = {
      name: 'onnxruntime-web',
      version: web.env.versions.web ?? '',
      providers: ['wasm'],
      cuda: false,
    } as const;
    return { ort: web, facts: { ...facts, reason: message, refused: data.refused === true } };
  }
}

/** The optional peer, loaded when it is first needed. Errors: RUNTIME_UNAVAILABLE. */
export async function importOrtNode(): Promise<OrtNode> {
  silenceTelemetry(isMainThread);
  try {
    const module = (await import('onnxruntime-node')) as unknown as OrtNode & { readonly default?: OrtNode };
    return module.default ?? module;
  } catch (error) {
    const { code } = error as { code?: string };
    const missing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
    throw new ElfinError(
      'RUNTIME_UNAVAILABLE',
      missing
        ? 'onnxruntime-node is not installed; run: npm install onnxruntime-node'
        : `onnxruntime-node is installed but does not load on ${process.platform}-${process.arch}: ${firstLine(error)}`,
      { cause: error, data: { refused: code === 'ERR_DLOPEN_FAILED' } },
    );
  }
}

/** The other optional peer, where it is installed. */
async function importOrtWeb(): Promise<Ort | undefined> {
  const web = await import('onnxruntime-web/wasm').catch(() => undefined);
  if (web) {
    web.env.wasm.numThreads = 1;
    web.env.wasm.proxy = false;
  }
  return web as Ort | undefined;
}

async function besideOrt(file: string): Promise<boolean> {
  try {
    const root = join(dirname(createRequire(import.meta.url).resolve('onnxruntime-node')), '..', 'bin');
    const versions = await readdir(root);
    return versions.some((version) => existsSync(join(root, version, process.platform, process.arch, file)));
  } catch {
    // In a bundle nothing lies beside anything.
    return false;
  }
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
}
