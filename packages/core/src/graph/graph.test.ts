import { describe, expect, test } from 'vitest';
import { ElfinError } from '../base/errors.ts';
import { createGraph, type Scope } from './graph.ts';
import { encodeOnnx } from './onnx.ts';
import { add, concat, conv, matmul, mul, relu, reshape, resize, split, transpose } from './ops.ts';
import { over, symbol } from './shape.ts';

const [N, H, W] = [symbol('N'), symbol('H'), symbol('W')];
const build = () => createGraph('test', 17, (_, shape) => new Float32Array(shape.reduce((a, b) => a * b, 1)));

function failure(work: () => unknown): ElfinError {
  try {
    work();
  } catch (error) {
    if (error instanceof ElfinError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('shape inference', () => {
  test('follows symbols through the halvings', () => {
    const { root: s, input } = build();
    const x = input('x', 'float32', [N, 3, H, W]);
    const half = resize(s, x, 1 / 2);
    expect(add(s, resize(s, half, 2), x).shape).toEqual(x.shape);
    const weight = s.at('stem').weight(s.at('stem').parameter('weight', [8, 3, 3, 3]));
    expect(conv(s, x, weight, { stride: 2 }).shape).toEqual([N, 8, over(H, 2), over(W, 2)]);
  });

  test('names scope and shapes where they do not fit', () => {
    const { root, input } = build();
    const s = root.at('dsnet').at('orsnet');
    const x = input('x', 'float32', [N, 3, H, W]);
    const y = resize(s, x, 1 / 2);
    const weight = s.weight(s.parameter('weight', [8, 4, 3, 3]));
    const refused: [string, (s: Scope) => unknown][] = [
      ['Add', (s) => add(s, x, y)],
      ['Conv', (s) => conv(s, x, weight)],
      ['Concat', (s) => concat(s, [x, y], 1)],
      ['MatMul', (s) => matmul(s, x, x)],
      ['Reshape', (s) => reshape(s, x, [N, 4, H, W])],
      ['Split', (s) => split(s, x, 1, [1, 1])],
      ['Transpose', (s) => transpose(s, x, [0, 0, 1, 2])],
    ];
    for (const [op, work] of refused) {
      const error = failure(() => work(s));
      expect(error.code).toBe('GRAPH_INVALID');
      expect(error.message).toMatch(new RegExp(`^dsnet\\.orsnet: ${op}.*\\[N, 3, H, W\\]`));
    }
  });

  test('a reshape that needs a side at run time must be told where to read it', () => {
    const { root: s, input } = build();
    const x = input('x', 'float32', [N, 3, H, W]);
    const down = resize(s, x, 1 / 2);
    const target = [N, 3, 2, over(H, 2), 2, over(W, 2)];
    expect(failure(() => reshape(s, x, target)).code).toBe('GRAPH_INVALID');
    expect(reshape(s, x, target, down).shape).toEqual(target);
  });
});

describe('a graph', () => {
  test('spells parameters by scope and keeps no node that nothing reads', () => {
    const builder = build();
    const s = builder.root.at('body').at('0');
    const x = builder.input('x', 'float32', [1, 2]);
    const used = mul(s, x, s.weight(s.parameter('weight', [1, 2])));
    relu(s, mul(s, x, s.weight(s.parameter('ignored', [1, 2]))));
    builder.output('y', used, [1, 2]);
    const graph = builder.finish();
    expect(graph.parameters.map(({ key }) => key)).toEqual(['body.0.weight', 'body.0.ignored']);
    expect(graph.nodes.map(({ name }) => name)).toEqual(['body.0/Mul', 'y/Identity']);
    expect(graph.between.map(({ name }) => name)).toEqual(['body.0/Mul']);
    expect(graph.initialisers.map(({ name }) => name)).toEqual(['body.0.weight']);
  });

  test('refuses an output of another shape than stated', () => {
    const builder = build();
    const x = builder.input('x', 'float32', [1, 2]);
    expect(failure(() => builder.output('y', x, [2, 1])).message).toContain('[1, 2] and [2, 1]');
  });

  test('encodes to the same bytes twice', () => {
    const bytes = () => {
      const builder = build();
      const s = builder.root;
      const x = builder.input('x', 'float32', [N, 2]);
      builder.output('y', add(s, mul(s, x, s.constant([1, 2], [2])), s.constant([1, 2], [2])), [N, 2]);
      return encodeOnnx(builder.finish(), { metadata: { a: 'b' } });
    };
    expect(Buffer.from(bytes()).equals(bytes())).toBe(true);
  });
});
