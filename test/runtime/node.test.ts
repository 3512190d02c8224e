import { createNodeRuntime } from '@elfin/core/node';
import { expect, test } from 'vitest';
import { seededModel } from '../helpers/seeded-model.ts';
import { conformance, picture } from './conformance.ts';

const OWN = { io: 'float', statistics: 'own', quadrants: 'own' } as const;

conformance('onnxruntime-node in its own thread', () => createNodeRuntime({ device: 'auto', threads: 2 }), 'cpu');
conformance("onnxruntime-node in the caller's thread", () => createNodeRuntime({ threads: 1, thread: false }), 'cpu');

test('a running tile does not hold up the event loop', async () => {
  await using runtime = createNodeRuntime();
  await using session = await runtime.open(await seededModel(), OWN);
  const events: string[] = [];
  const running = session.run(picture(256, 256)).then(() => events.push('tile'));
  const turning = (async () => {
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    events.push('turns');
  })();
  await Promise.all([running, turning]);
  expect(events).toEqual(['turns', 'tile']);
});

test('a device that is not there is refused, with the reason', async () => {
  await using runtime = createNodeRuntime({ device: process.platform === 'win32' ? 'coreml' : 'dml' });
  await expect(runtime.open(await seededModel(), OWN)).rejects.toMatchObject({
    code: 'RUNTIME_UNAVAILABLE',
    message: expect.stringMatching(/offers only .*cpu/),
  });
});

test.each([{ device: 'gpu' as 'cpu' }, { threads: 0 }, { threads: 1.5 }])('refuses the options %j', (options) => {
  expect(() => createNodeRuntime(options)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
});

test('after everything is disposed the runtime can be used again', async () => {
  const runtime = createNodeRuntime();
  const model = await seededModel();
  for (let round = 0; round < 2; round++) {
    const session = await runtime.open(model, OWN);
    expect((await session.run(picture(32, 32))).restored!.shape).toEqual([1, 3, 32, 32]);
    await session.dispose();
  }
  const left = await runtime.open(model, OWN);
  await runtime.dispose();
  await expect(left.run(picture(32, 32))).rejects.toMatchObject({ code: 'DISPOSED' });
});
