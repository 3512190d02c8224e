import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createGraph, type Scope, type Value } from '../../packages/core/src/graph/graph.ts';
import { encodeOnnx } from '../../packages/core/src/graph/onnx.ts';
import * as op from '../../packages/core/src/graph/ops.ts';
import { distance, openOnnx, type Plain } from '../helpers/elf.ts';

interface Case {
  readonly name: string;
  readonly op: string;
  readonly attributes: Readonly<Record<string, number | readonly number[]>>;
  readonly inputs: readonly { shape: readonly number[]; data: readonly number[] }[];
  readonly outputs: readonly { shape: readonly number[]; data: readonly number[] }[];
}

const cases: readonly Case[] = JSON.parse(
  readFileSync(new URL('../fixtures/operators/cases.json', import.meta.url), 'utf8'),
);

type Apply = (s: Scope, x: readonly Value[], a: Record<string, never>) => Value | readonly Value[];

/** How the data names each operator. */
const OPERATORS: Readonly<Record<string, Apply>> = {
  conv: (s, [x, w], options) => op.conv(s, x!, w!, options),
  convBias: (s, [x, w, b]) => op.conv(s, x!, w!, { bias: b! }),
  relu: (s, [x]) => op.relu(s, x!),
  leakyRelu: (s, [x], { alpha }) => op.leakyRelu(s, x!, alpha!),
  sigmoid: (s, [x]) => op.sigmoid(s, x!),
  erf: (s, [x]) => op.erf(s, x!),
  gelu: (s, [x]) => op.gelu(s, x!),
  sqrt: (s, [x]) => op.sqrt(s, x!),
  round: (s, [x]) => op.round(s, x!),
  clip: (s, [x], { low, high }) => op.clip(s, x!, low!, high!),
  scale: (s, [x], { by }) => op.scale(s, x!, by!),
  softmax: (s, [x]) => op.softmax(s, x!),
  add: (s, [a, b]) => op.add(s, a!, b!),
  sub: (s, [a, b]) => op.sub(s, a!, b!),
  mul: (s, [a, b]) => op.mul(s, a!, b!),
  div: (s, [a, b]) => op.div(s, a!, b!),
  max: (s, [a, b]) => op.max(s, a!, b!),
  matmul: (s, [a, b]) => op.matmul(s, a!, b!),
  reduceMean: (s, [x], { axes }) => op.reduce(s, 'Mean', x!, axes!),
  reduceSum: (s, [x], { axes }) => op.reduce(s, 'Sum', x!, axes!),
  reduceSumSquare: (s, [x], { axes }) => op.reduce(s, 'SumSquare', x!, axes!),
  reduceProduct: (s, [x]) => op.reduceProduct(s, x!),
  globalAveragePool: (s, [x]) => op.globalAveragePool(s, x!),
  resize: (s, [x], { factor }) => op.resize(s, x!, factor!),
  concat: (s, values, { axis }) => op.concat(s, values, axis!),
  split: (s, [x], { axis, sides }) => op.split(s, x!, axis!, sides!),
  slice: (s, [x], { axis, start, end }) => op.slice(s, x!, axis!, start!, end!),
  stride: (s, [x], { step }) => op.stride(s, x!, step!),
  reshape: (s, [x], { shape }) => op.reshape(s, x!, shape!),
  transpose: (s, [x], { order }) => op.transpose(s, x!, order!),
  depthToSpace: (s, [x], { block }) => op.depthToSpace(s, x!, block!),
};

const noWeights = () => {
  throw new Error('operators have no parameters');
};

test.each(cases.flatMap((each) => [17, 18, 20].map((opset) => ({ ...each, opset }))))(
  '$name, opset $opset',
  async (each) => {
    const builder = createGraph('case', each.opset, noWeights);
    const fed = each.inputs.map(({ shape }, i) => builder.input(`in${i}`, 'float32', shape));
    const made = [OPERATORS[each.op]!(builder.root, fed, each.attributes as Record<string, never>)].flat() as Value[];
    expect(made.length).toBe(each.outputs.length);
    // output() throws where the inferred shape is another than the case's.
    made.forEach((value, i) => void builder.output(`out${i}`, value, each.outputs[i]!.shape));
    const run = await openOnnx(encodeOnnx(builder.finish()));
    const feeds = each.inputs.map(
      ({ shape, data }, i) => [`in${i}`, { shape, data: Float32Array.from(data) }] as const,
    );
    const results = await run(Object.fromEntries(feeds));
    each.outputs.forEach(({ shape, data }, i) => {
      const expected: Plain = { shape, data: Float32Array.from(data) };
      expect(distance(results[`out${i}`]!, expected)).toBeLessThan(2e-5 * Math.max(1, ...data.map(Math.abs)));
    });
  },
);

test('every operator of the table has a case', () => {
  expect([...new Set(cases.map((each) => each.op))].sort()).toEqual(Object.keys(OPERATORS).sort());
});
