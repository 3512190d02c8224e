import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { elements } from '../base/tensor.ts';
import { parametersOf } from '../model/describe.ts';
import { emitElf } from '../model/emit.ts';
import { CONFIGS } from '../model/presets.ts';
import { summariseOnnx } from './summary.ts';

const model = { ...CONFIGS['elf-lw'], channels: 16 };
const weights = new Map(
  parametersOf(model).map(({ key, shape }) => [
    key,
    { dtype: 'F32' as const, shape, data: new Float32Array(elements(shape)) },
  ]),
);

test('the border, the operators and the metadata of an emitted file', () => {
  const { onnx, inputs, outputs } = emitElf({ model, weights, io: 'uint8' });
  const summary = summariseOnnx(onnx);
  expect(summary).toMatchObject({ bytes: onnx.byteLength, opset: 17, metadata: { 'elfin.model': 'custom' } });
  expect(summary.inputs.map(({ name, type }) => [name, type])).toEqual(inputs.map(({ name, type }) => [name, type]));
  expect(summary.outputs.map(({ name }) => name)).toEqual(outputs.map(({ name }) => name));
  expect(summary.operators.Conv).toBeGreaterThan(50);
});

test('anything else is refused by name', () => {
  for (const bytes of [new Uint8Array(), Uint8Array.of(1, 2, 3), readFileSync(new URL(import.meta.url))])
    expect(() => summariseOnnx(bytes, 'x.onnx')).toThrow(
      expect.objectContaining({ code: 'WEIGHTS_CORRUPT', message: expect.stringContaining('x.onnx') }),
    );
});
