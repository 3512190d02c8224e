import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { writtenKernels } from '../../../kernels.build.ts';
import { kernelBytes } from './load-kernels.ts';
import { createMachine } from './machine.ts';

test('what is committed is what the sources compile to', async () => {
  const committed = await readFile(new URL('kernels.generated.ts', import.meta.url), 'utf8');
  expect(committed, 'run: node packages/core/kernels.build.ts').toBe(await writtenKernels());
});

test.each(['relaxed', 'simd'] as const)('gelu of %s is the exact one within 1e-6', async (variant) => {
  const machine = createMachine(new WebAssembly.Module((await kernelBytes())[variant]));
  const inputs = Float32Array.from({ length: 1 << 15 }, (_, i) => (i / (1 << 14) - 1) * 14);
  const [from, to] = [machine.store(inputs), machine.take(inputs.length)];
  machine.kernels.gelu(to, from, inputs.length * 4);
  const results = machine.floats().subarray(to / 4);
  let most = 0;
  inputs.forEach((x, i) => {
    // Beyond 8 a float's own steps are as large as the bound.
    const bound = Math.max(1, Math.abs(x) / 8);
    most = Math.max(most, Math.abs(results[i]! - exactGelu(x)) / bound);
  });
  expect(most).toBeLessThan(1e-6);
});

/** x·Φ(x) in float64: Φ by its series near zero, by its continued fraction in the tails. */
function exactGelu(x: number): number {
  const a = Math.abs(x) / Math.SQRT2;
  let tail: number;
  if (a < 3) {
    let [sum, term] = [a, a];
    for (let n = 1; n < 200; n++) {
      term *= (-a * a) / n;
      sum += term / (2 * n + 1);
    }
    tail = 1 - (2 * sum) / Math.sqrt(Math.PI);
  } else {
    let fraction = 0;
    for (let n = 60; n > 0; n--) fraction = n / 2 / (a + fraction);
    tail = Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + fraction);
  }
  return x > 0 ? x * (1 - tail / 2) : (x * tail) / 2;
}
