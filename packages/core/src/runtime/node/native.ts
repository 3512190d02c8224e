import { ElfinError } from '../../base/errors.ts';
import type { Ort } from '../ort/ort.ts';

/** onnxruntime-node beyond what it shares with onnxruntime-web. */
export type OrtNode = Ort & {
  listSupportedBackends(): readonly { readonly name: string; readonly bundled: boolean }[];
};

/** The optional peer, loaded when it is first needed. Errors: RUNTIME_UNAVAILABLE. */
export async function importOrtNode(): Promise<OrtNode> {
  try {
    const module = (await import('onnxruntime-node')) as unknown as OrtNode & { readonly default?: OrtNode };
    return module.default ?? module;
  } catch (error) {
    const missing = (error as { code?: string }).code === 'ERR_MODULE_NOT_FOUND';
    throw new ElfinError(
      'RUNTIME_UNAVAILABLE',
      missing
        ? 'onnxruntime-node is not installed; run: npm install onnxruntime-node'
        : `onnxruntime-node is installed but does not load on ${process.platform}-${process.arch}: ${firstLine(error)}`,
      { cause: error },
    );
  }
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
}
