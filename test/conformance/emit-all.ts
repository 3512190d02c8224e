/**
 * Writes the networks of the golden files as ONNX models, each way a session may ask for, for check_onnx.py to look at.
 *
 *   node --conditions=@elfin/source test/conformance/emit-all.ts DIR
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type EmitOptions, emitElf, LOWERINGS, PRESETS } from '@elfin/core';
import { readGolden } from '../helpers/elf.ts';

const [directory] = process.argv.slice(2);
if (!directory) throw new Error('Say which folder the models go to.');
mkdirSync(directory, { recursive: true });

const shape = { batch: 2, height: 64, width: 96 };
/** What a preset is emitted in each of. */
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

// One preset in every combination that a session may ask for.
const { model, weights } = readGolden('elf-lw');
const choices: readonly (readonly Partial<EmitOptions>[])[] = [
  [{ io: 'float' }, { io: 'uint8' }],
  [{ statistics: 'own' }, { statistics: 'given' }],
  [{ quadrants: 'own' }, { quadrants: 'given' }],
  [{}, { outputs: ['restored', 'background'] }],
  [{}, { shape }],
  [{}, { storage: 'float16' }],
  [{ opset: 17 }, { opset: 20 }],
  (Object.keys(LOWERINGS) as (keyof typeof LOWERINGS)[]).map((target) => ({ target })),
];
const combinations = choices.reduce<Partial<EmitOptions>[]>(
  (sofar, options) => sofar.flatMap((chosen) => options.map((option) => ({ ...chosen, ...option }))),
  [{}],
);
for (const [i, options] of combinations.entries()) {
  writeFileSync(join(directory, `combination-${i}.onnx`), emitElf({ model, weights, ...options }).onnx);
}
