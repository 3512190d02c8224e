import { ElfinError } from '../base/errors.ts';
import { type OnnxPort, summariseOnnx } from '../graph/summary.ts';
import type { SessionOptions } from '../runtime/runtime.ts';
import { type Manifest, ONNX_VARIANT, PRESETS } from './manifest.ts';

/** What an ONNX file does not say of itself. */
export type OnnxHints = Partial<Pick<Manifest, 'preset' | 'task' | 'crop'>>;

/**
 * A manifest for a graph out of a file instead of weights: the network's preset from the file's metadata, where `elfin export`
 * wrote it. Errors: WEIGHTS_CORRUPT, WEIGHTS_UNSUPPORTED for a graph without `image` and `restored`.
 */
export function onnxManifest(bytes: Uint8Array, sha256: string, hints: OnnxHints, where: string): Manifest {
  const { inputs, outputs, metadata } = summariseOnnx(bytes, where);
  if (!named(inputs, 'image') || !named(outputs, 'restored')) {
    throw new ElfinError(
      'WEIGHTS_UNSUPPORTED',
      `${where} has no input "image" and output "restored": export it with elfin export.`,
    );
  }
  const preset = hints.preset ?? PRESETS.find((name) => name === metadata['elfin.model']) ?? 'elf-lw';
  const { task = 'derain', crop = 256 } = hints;
  const none = { license: 'unknown', data: [], scores: [] };
  return { format: 1, preset, task, variant: ONNX_VARIANT, crop, sha256, dtype: 'float32', ...none };
}

/**
 * Whether a file's graph is the one asked for: it was laid out when it was exported and cannot be emitted anew.
 * Errors: OPTION_INVALID, telling how to export or tile instead.
 */
export function checkOnnx(bytes: Uint8Array, { io, statistics, quadrants }: SessionOptions, where: string): void {
  const { inputs, outputs } = summariseOnnx(bytes, where);
  const has = (name: string) => (named(inputs, name) ? 'given' : 'own');
  if (has('statistics') !== statistics || has('quadrants') !== quadrants) {
    throw new ElfinError(
      'OPTION_INVALID',
      `${where} holds one graph, with ${has('statistics')} statistics: tile it as local or whole, or use the weights themselves.`,
    );
  }
  const type = io === 'uint8' ? 'uint8' : 'float';
  if (named(inputs, 'image')?.type !== type)
    throw new ElfinError('OPTION_INVALID', `${where} does not take ${type} pixels: export it with --io ${io}.`);
  const missing = ['restored', 'background', 'sums'].find((name) => !named(outputs, name));
  if (missing)
    throw new ElfinError('OPTION_INVALID', `${where} has no output "${missing}": export it with elfin export.`);
}

function named(ports: readonly OnnxPort[], name: string): OnnxPort | undefined {
  return ports.find((port) => port.name === name);
}
