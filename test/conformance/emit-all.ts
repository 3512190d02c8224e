/**
 * Writes the networks of the golden files as ONNX models, each way a session may ask for, for check_onnx.py to look at.
 *
 *   node --conditions=@elfin/source test/conformance/emit-all.ts DIR
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type EmitOptions, emitElf, PRESETS } from '@elfin/core';
import { readGolden } from '../helpers/elf.ts';

const [directory] = process.argv.slice(2);
if (!directory) throw new Error('Say which folder the models go to.');
mkdirSync(directory, { recursive: true });

const shape = { batch: 2, height: 64, width: 96 };
const ways: Record<string, Partial<EmitOptions>> = {
  own: {},
  bytes: { io: 'uint8' },
  given: { statistics: 'given', quadrants: 'given' },
  frozen: { statistics: 'given', quadrants: 'given', outputs: ['restored'] },
  fixed: { shape },
  half: { storage: 'float16', statistics: 'given', io: 'uint8' },
  reference: { target: 'reference' },
  wasm: { target: 'wasm' },
  webgpu: { target: 'webgpu', shape, quadrants: 'given' },
  'opset-20': { opset: 20 },
};
for (const preset of PRESETS) {
  const { model, weights } = readGolden(preset);
  for (const [way, options] of Object.entries(ways)) {
    writeFileSync(join(directory, `${preset}-${way}.onnx`), emitElf({ model, weights, ...options }).onnx);
  }
}
