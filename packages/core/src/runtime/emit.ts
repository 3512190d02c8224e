import { ElfinError } from '../base/errors.ts';
import { loadPart } from '../base/lazy-import.ts';
import { sha256 } from '../base/sha256.ts';
import type { Target } from '../model/lowering.ts';
import { isOnnxModel } from '../model/manifest.ts';
import type { ModelRef } from '../model/models.ts';
import type { SessionOptions } from './runtime.ts';

export type { Target } from '../model/lowering.ts';

// A restored image needs two graphs; a server keeps two sizes for three tasks.
const KEPT = 8;

/**
 * Graphs out of models, the last few of them kept. Weights whose digest is not the one that the model is known by are
 * refused. Errors: MODEL_DIGEST_MISMATCH, WEIGHTS_CORRUPT, WEIGHTS_MISMATCH, WEIGHTS_NOT_FINITE, OPTION_INVALID.
 */
export function createEmitter(): (
  model: ModelRef,
  options: SessionOptions,
  target: Target,
  precision?: 'float32' | 'float16',
) => Promise<Uint8Array> {
  const kept = new Map<string, Uint8Array>();
  return async (model, options, target, precision = 'float32') => {
    const { io, statistics, quadrants, shape } = options;
    const key = JSON.stringify([
      model.digest,
      model.manifest.preset,
      target,
      precision,
      io,
      statistics,
      quadrants,
      shape,
    ]);
    const found = kept.get(key);
    const onnx = found ?? (await emit(model, options, target, precision));
    kept.delete(key);
    kept.set(key, onnx);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value!);
    return onnx;
  };
}

async function emit(
  model: ModelRef,
  options: SessionOptions,
  target: Target,
  precision: 'float32' | 'float16',
): Promise<Uint8Array> {
  const [bytes, network] = await Promise.all([model.bytes(), loadPart(import('../model/network.ts'))]);
  const digest = await sha256(bytes);
  if (digest !== model.digest) {
    throw new ElfinError(
      'MODEL_DIGEST_MISMATCH',
      `The weights of ${model.name} have the SHA-256 ${digest.slice(0, 12)}…, not ${model.digest.slice(0, 12)}…; fetch them anew.`,
      { data: { model: model.name, expected: model.digest, actual: digest } },
    );
  }
  if (isOnnxModel(model.manifest)) {
    const { checkOnnx } = await loadPart(import('../model/onnx-file.ts'));
    checkOnnx(bytes, options, model.name);
    return bytes;
  }
  const { preset } = model.manifest;
  const parameters = network.parametersOf(network.configOf(preset));
  const weights = network.loadStateDict(network.readSafetensors(bytes, model.name), parameters, {
    where: model.name,
    network: preset,
  });
  return network.emitElf({ ...options, model: preset, weights, target, precision }).onnx;
}
