import { beforeAll, expect, test } from 'vitest';
import { seededModel } from '../../../../test/helpers/seeded-model.ts';
import { ElfinError } from '../base/errors.ts';
import type { ModelRef } from '../model/models.ts';
import type { Engine } from './engine.ts';
import { type Candidate, createLocalRuntime } from './local.ts';
import type { Outputs } from './runtime.ts';

/*
 * How a runtime chooses among devices that this machine may not have, and how it mends itself: over engines that behave as
 * a GPU's driver does on a bad day.
 */
const OWN = { io: 'float', statistics: 'own', quadrants: 'own' } as const;
const GIVEN = { io: 'float', statistics: 'given', quadrants: 'given' } as const;
const image = { type: 'float32', shape: [1, 3, 16, 16], data: new Float32Array(768) } as const;
let model: ModelRef;
beforeAll(async () => {
  model = await seededModel();
});

const candidate = (provider: string): Candidate => ({
  provider,
  threads: 1,
  target: 'native',
  options: { executionProviders: [provider] },
  probe: provider !== 'cpu',
});

interface Behaviour {
  load?(provider: string): void;
  run?(provider: string, call: number): Outputs | undefined | Promise<undefined>;
}

function setUp(behaviour: Behaviour, providers = ['cuda', 'webgpu', 'cpu']) {
  const loads: string[] = [];
  const open = new Map<number, string>();
  let calls = 0;
  let idles = 0;
  const engine: Engine = {
    async load(_, { executionProviders }) {
      const provider = String(executionProviders?.[0]);
      loads.push(provider);
      behaviour.load?.(provider);
      open.set(loads.length, provider);
      return {
        handle: loads.length,
        inputs: [{ name: 'image', type: 'float32', shape: ['N', 3, 'H', 'W'] }],
        outputs: [],
      };
    },
    async run(handle) {
      return (await behaviour.run?.(open.get(handle)!, ++calls)) ?? { restored: image };
    },
    async unload(handle) {
      open.delete(handle);
    },
  };
  const runtime = createLocalRuntime({
    name: 'test',
    engine,
    idle: async () => {
      idles++;
    },
    survey: async () => ({ implementation: 'test 1.0.0', candidates: providers.map(candidate), declined: [] }),
  });
  return { runtime, loads, open, idles: () => idles };
}

const outOfMemory = () => {
  throw new ElfinError('OUT_OF_MEMORY', 'no room');
};

test('the best device that passes its trial is taken', async () => {
  const { runtime } = setUp({});
  expect((await runtime.open(model, OWN)).backend).toEqual({
    provider: 'cuda',
    threads: 1,
    implementation: 'test 1.0.0',
    declined: [],
  });
});

test('a device that does not load, and one that gives NaN, are passed over with the reason, once for all models', async () => {
  const nan = { restored: { ...image, data: new Float32Array(768).fill(Number.NaN) } };
  const { runtime, loads, open } = setUp({
    load(provider) {
      if (provider === 'cuda') throw new Error('no CUDA-capable device');
    },
    run: (provider) => (provider === 'webgpu' ? nan : undefined),
  });
  const { backend } = await runtime.open(model, OWN);
  expect(backend).toMatchObject({
    provider: 'cpu',
    declined: [
      { provider: 'cuda', reason: 'no CUDA-capable device' },
      { provider: 'webgpu', reason: expect.stringMatching(/not numbers/) },
    ],
  });
  await runtime.open(model, GIVEN);
  expect(loads).toEqual(['cuda', 'webgpu', 'cpu', 'cpu']);
  expect([...open.values()]).toEqual(['cpu', 'cpu']);
});

test('where only a device that fails was asked for, the reason is the error', async () => {
  const { runtime } = setUp({ load: outOfMemory }, ['cuda']);
  await expect(runtime.open(model, OWN)).rejects.toMatchObject({
    code: 'RUNTIME_UNAVAILABLE',
    message: expect.stringMatching(/cuda: no room/),
  });
});

test('what fails on the device of last resort is told as it is, and tried anew the next time', async () => {
  let times = 0;
  const { runtime } = setUp({ load: () => (times++ === 0 ? outOfMemory() : undefined) }, ['cpu']);
  await expect(runtime.open(model, OWN)).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
  expect((await runtime.open(model, OWN)).backend.provider).toBe('cpu');
});

test('after memory ran out the graph is loaded anew by the next call', async () => {
  const { runtime, loads, open } = setUp({ run: (_, call) => (call === 1 ? outOfMemory() : undefined) }, ['cpu']);
  const session = await runtime.open(model, OWN);
  await expect(session.run({ image })).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
  expect(open.size).toBe(0);
  expect((await session.run({ image })).restored).toEqual(image);
  expect(loads).toEqual(['cpu', 'cpu']);
});

test.each([Number.POSITIVE_INFINITY, Date.now() + 30 * 24 * 3600 * 1000])(
  'a deadline of %d is none',
  async (deadline) => {
    const slowly = () => new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 30));
    const session = await setUp({ run: slowly }, ['cpu']).runtime.open(model, OWN);
    expect((await session.run({ image }, { deadline })).restored).toEqual(image);
    await expect(session.run({ image }, { deadline: Date.now() + 5 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
  },
);

test('one native graph is shared by all who open it, and freed with the last of them', async () => {
  const { runtime, loads, open, idles } = setUp({}, ['cpu']);
  const sessions = await Promise.all([runtime.open(model, OWN), runtime.open(model, OWN), runtime.open(model, GIVEN)]);
  expect(loads).toHaveLength(2);
  await Promise.all(sessions.slice(1).map((session) => session.dispose()));
  expect([open.size, idles()]).toEqual([1, 0]);
  await sessions[0]!.dispose();
  expect([open.size, idles()]).toEqual([0, 1]);
});
