import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { create, toBinary } from '@bufbuild/protobuf';
import { afterEach, expect, test } from 'vitest';
import { TensorProto_DataType as DataType, ModelProtoSchema } from '../../../../test/helpers/onnx/onnx_pb.js';
import { ElfinError } from '../base/errors.ts';
import type { Engine } from './engine.ts';
import { createHostedEngine } from './node/hosted.ts';
import { importOrtNode, type NodeEngine } from './node/native.ts';
import { callEngine, serveEngine } from './node/port.ts';
import { createOrtEngine, toElfinError } from './ort/ort.ts';

const CPU = { executionProviders: ['cpu'], logSeverityLevel: 4 } as const;
const thread = createHostedEngine();
afterEach(() => thread.idle());

const engines: [string, () => Engine][] = [
  ["in the caller's thread", () => createOrtEngine(importOrtNode)],
  ['in its own thread', () => thread.engine],
];

test.each(engines)('%s: a graph that wants more memory than there is ends in OUT_OF_MEMORY', async (_, make) => {
  const engine = make();
  // 2^46 floats: more than any address space of today holds.
  const greedy = await engine.load(filled([2n ** 23n, 2n ** 23n]), { ...CPU, graphOptimizationLevel: 'disabled' });
  await expect(engine.run(greedy.handle, {})).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
  const modest = await engine.load(filled([2n, 3n]), CPU);
  expect(await engine.run(modest.handle, {})).toEqual({
    out: { type: 'float32', shape: [2, 3], data: new Float32Array(6) },
  });
});

test.each(engines)('%s: bytes that are no graph, and a session that is closed', async (_, make) => {
  const engine = make();
  await expect(engine.load(new Uint8Array([1, 2, 3]), CPU)).rejects.toMatchObject({
    code: 'RUNTIME_FAILED',
    message: expect.stringMatching(/^ONNX Runtime could not load the graph: [^\n]+$/),
  });
  const { handle } = await engine.load(filled([1n]), CPU);
  await engine.unload(handle);
  await expect(engine.run(handle, {})).rejects.toMatchObject({ code: 'DISPOSED' });
});

test('the thread ends when the calls under way are done; its graphs are gone, and new ones are not taken for them', async () => {
  const old = await thread.engine.load(filled([1n]), CPU);
  const [under] = await Promise.all([thread.engine.load(filled([2n]), CPU), thread.idle()]);
  expect(under.outputs[0]).toMatchObject({ name: 'out' });
  const fresh = await thread.engine.load(filled([3n]), CPU);
  await expect(thread.engine.run(old.handle, {})).rejects.toMatchObject({ code: 'RUNTIME_FAILED' });
  expect((await thread.engine.run(fresh.handle, {})).out!.shape).toEqual([3]);
});

test('fourteen threads at once print no warning', async () => {
  const warnings: string[] = [];
  const warned = ({ message }: Error) => warnings.push(message);
  process.on('warning', warned);
  const many = Array.from({ length: 14 }, () => createHostedEngine());
  await Promise.all(many.map(({ engine }) => engine.load(filled([1n]), CPU)));
  await Promise.all(many.map(({ idle }) => idle()));
  process.removeListener('warning', warned);
  expect(warnings).toEqual([]);
});

test('a process that exits while a tile is running does so in peace', async () => {
  const node = fileURLToPath(new URL('../entries/node.ts', import.meta.url));
  const seeds = fileURLToPath(new URL('../../../../test/helpers/seeded-model.ts', import.meta.url));
  const program = `
    import { createNodeRuntime } from ${JSON.stringify(pathToFileURL(node).href)};
    import { seededModel } from ${JSON.stringify(pathToFileURL(seeds).href)};
    const session = await createNodeRuntime().open(await seededModel(), { io: 'float', statistics: 'own', quadrants: 'own' });
    const run = () => session.run({ image: { type: 'float32', shape: [1, 3, 256, 256], data: new Float32Array(196608) } });
    await run();
    void run();
    void run();
    setTimeout(() => process.exit(3), 20);
  `;
  const child = spawn(process.execPath, ['--conditions=@elfin/source', '--input-type=module', '-e', program]);
  let said = '';
  child.stderr.on('data', (data) => {
    said += data;
  });
  const [code, signal] = await once(child, 'exit');
  expect({ code, signal, said }).toEqual({ code: 3, signal: null, said: '' });
});

// As ONNX Runtime, CUDA, Dawn and V8 word it.
test.each([
  '/onnxruntime_src/core/framework/bfc_arena.cc:360 AllocateRawInternal Failed to allocate memory for requested buffer of size 184320',
  'failed to call OrtRun(). ERROR_CODE: 6, ERROR_MESSAGE: std::bad_alloc',
  'CUDA failure 2: out of memory ; GPU=0 ; hostname=gpu-1',
  'CUBLAS_STATUS_ALLOC_FAILED: the resource allocation failed',
  'WebGPU: Out of memory while creating buffer',
  'Array buffer allocation failed',
  'Invalid typed array length: 9007199254740991',
])('%j is a lack of memory', (message) => {
  expect(toElfinError('run the graph', new Error(message))).toMatchObject({ code: 'OUT_OF_MEMORY' });
});

test('anything else is RUNTIME_FAILED in one line, with its cause', () => {
  const cause = new Error('Got invalid dimensions\n index: 1 Got: 4');
  const error = toElfinError('run the graph', cause);
  expect(error).toMatchObject({ code: 'RUNTIME_FAILED', cause });
  expect(error.message).toBe('ONNX Runtime could not run the graph: Got invalid dimensions index: 1 Got: 4');
  expect(toElfinError('run the graph', 5_242_880).message).toMatch(/5242880/);
});

test('errors cross a channel with code, message, data and cause', async () => {
  const failing: NodeEngine = {
    describe: () => Promise.reject(new ElfinError('RUNTIME_UNAVAILABLE', 'none')),
    load: () => Promise.reject(new ElfinError('OUT_OF_MEMORY', 'too large', { data: { side: 9 }, cause: 'why' })),
    run: () => Promise.reject(new Error('std::bad_alloc')),
    unload: async () => {},
  };
  const receive = serveEngine(failing, { postMessage: (message) => near.receive(structuredClone(message)) });
  const busy: number[] = [];
  const near = callEngine({ postMessage: (message) => void receive(structuredClone(message)) }, (calls) =>
    busy.push(calls),
  );
  await expect(near.engine.load(new Uint8Array(), {})).rejects.toMatchObject({
    code: 'OUT_OF_MEMORY',
    message: 'too large',
    data: { side: 9 },
    cause: 'why',
  });
  await expect(near.engine.run(1, {})).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
  expect(await near.engine.unload(1)).toBeUndefined();
  expect(busy).toEqual([1, 0, 1, 0, 1, 0]);
  const gone = new ElfinError('RUNTIME_FAILED', 'the thread ended');
  const under = near.engine.unload(1);
  near.fail(gone);
  await expect(under).rejects.toBe(gone);
  await expect(near.engine.run(1, {})).rejects.toBe(gone);
});

/** A graph without inputs whose output `out` is zeros of this shape. */
function filled(shape: readonly bigint[]): Uint8Array {
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: 8n,
      opsetImport: [{ domain: '', version: 17n }],
      graph: {
        name: 'zeros',
        node: [{ opType: 'ConstantOfShape', input: ['shape'], output: ['out'] }],
        initializer: [{ name: 'shape', dataType: DataType.INT64, dims: [BigInt(shape.length)], int64Data: [...shape] }],
        output: [{ name: 'out', type: { value: { case: 'tensorType', value: { elemType: DataType.FLOAT } } } }],
      },
    }),
  );
}
