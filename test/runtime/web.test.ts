import { createWebRuntime } from '@elfin/core/web-runtime';
import { expect, test } from 'vitest';
import { seededModel } from '../helpers/seeded-model.ts';
import { conformance } from './conformance.ts';

const ort = () => import('onnxruntime-web');
const OWN = { io: 'float', statistics: 'own', quadrants: 'own' } as const;

conformance('onnxruntime-web wasm', () => createWebRuntime({ ort, threads: 2 }), 'wasm');

test('the threads that onnxruntime-web was started with stay, and that is told', async () => {
  const model = await seededModel();
  await using first = createWebRuntime({ ort, threads: 2 });
  await using second = createWebRuntime({ ort, threads: 1 });
  const one = await first.open(model, OWN);
  const two = await second.open(model, OWN);
  expect([one.backend.threads, two.backend.threads]).toEqual([2, 2]);
  expect(two.backend.declined).toContainEqual({
    provider: 'wasm threads',
    reason: expect.stringMatching(/already runs with 2/),
  });
});

test('onnxruntime-web that could not be loaded once is loaded the next time', async () => {
  let times = 0;
  const moody = () => (times++ === 0 ? Promise.reject(new Error('offline')) : ort());
  await using runtime = createWebRuntime({ ort: moody, device: 'wasm', threads: 2 });
  const model = await seededModel();
  await expect(runtime.open(model, OWN)).rejects.toThrow('offline');
  expect((await runtime.open(model, OWN)).backend.provider).toBe('wasm');
});

test('WebGPU asked for where there is none is refused, with the reason', async () => {
  await using runtime = createWebRuntime({ ort, device: 'webgpu' });
  await expect(runtime.open(await seededModel(), OWN)).rejects.toMatchObject({
    code: 'RUNTIME_UNAVAILABLE',
    message: expect.stringMatching(/no WebGPU/),
  });
});

test.each([{ device: 'cpu' as 'wasm' }, { threads: -1 }])('refuses the options %j', (options) => {
  expect(() => createWebRuntime(options)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
});
