import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type EmitOptions, emitElf, type ModelRef, TASKS, type Task } from '@elfin/core';
import { checkWritable, writeAtomically } from '@elfin/core/node';
import { graphName, tritonConfig } from '@elfin/core/remote';
import { readSafetensors } from '@elfin/core/weights';
import { defineVerb, numberFlag } from '../flags/command.ts';
import { MODEL_FLAG, openModel } from '../flags/models.ts';
import { EXIT, usageError } from '../report/failure.ts';
import { grouped } from '../report/table.ts';

interface Written {
  readonly path: string;
  readonly bytes: number;
}

/** A model as ONNX, for any runtime, or as a model repository that a stock Triton loads. */
export const exportVerb = defineVerb({
  name: 'export',
  description: 'Write a model as an ONNX file or as a Triton model repository',
  args: {
    model: MODEL_FLAG,
    task: { type: 'enum', options: [...TASKS], default: 'derain', description: 'Task of lw and full' },
    target: { type: 'enum', options: ['onnx', 'triton'], default: 'onnx', description: 'What to write' },
    output: { type: 'string', alias: 'o', valueHint: 'path', description: 'A file for onnx, a folder for triton' },
    io: {
      type: 'enum',
      options: ['uint8', 'float'],
      description: 'Pixels: uint8 NHWC or float NCHW 0…1 (default: float for onnx, uint8 for triton)',
    },
    statistics: {
      type: 'enum',
      options: ['own', 'given'],
      default: 'own',
      description: 'onnx: whether the graph is told the whole image’s statistics',
    },
    quadrants: {
      type: 'enum',
      options: ['own', 'given'],
      default: 'own',
      description: 'onnx: whether the graph is told the whole image’s quadrants',
    },
    storage: {
      type: 'enum',
      options: ['float32', 'float16'],
      default: 'float32',
      description: 'How weights are stored',
    },
    shape: { type: 'string', valueHint: 'HxW', description: 'Fix the tile’s shape, in multiples of 16' },
    batch: {
      type: 'string',
      valueHint: '0…64',
      description: 'triton: most tiles in one run (default 8); with --shape in onnx: the batch',
    },
    device: {
      type: 'enum',
      options: ['auto', 'gpu', 'cpu'],
      default: 'auto',
      description: 'triton: where instances run',
    },
    instances: { type: 'string', valueHint: '1…64', description: 'triton: instances a device (default 1)' },
    tensorrt: { type: 'enum', options: ['fp16', 'fp32'], description: 'triton: let ONNX Runtime use TensorRT' },
    opset: { type: 'string', valueHint: '17…20', description: 'ONNX operator set (default 17)' },
    force: { type: 'boolean', description: 'Replace what exists' },
  },
  examples: [
    'elfin export --model lw --task derain -o derain.onnx',
    'elfin export --model my-model/ --io uint8 --shape 512x512 -o tile512.onnx',
    'elfin export --model full --target triton --device gpu --tensorrt fp16 -o model_repository',
  ],
  async run({ args, words }) {
    if (words.length > 0)
      throw usageError(`export takes no "${words[0]}": name the model with --model, the place with -o.`);
    if (!args.output) throw usageError('Say where to: -o PATH.');
    const model = await openModel(args.model, args.task as Task);
    const opset = numberFlag('opset', args.opset, { min: 17, max: 20, integer: true });
    const batch = numberFlag('batch', args.batch, { min: 0, max: 64, integer: true });
    const shape = shapeFlag(args.shape, args.target === 'onnx' ? (batch ?? 1) : 1);
    const common = { storage: args.storage as 'float32', ...(opset && { opset }), ...(shape && { shape }) };
    const written =
      args.target === 'onnx'
        ? await writeOnnx(model, args.output, {
            ...common,
            io: (args.io ?? 'float') as 'float',
            statistics: args.statistics as 'own',
            quadrants: args.quadrants as 'own',
            force: args.force ?? false,
          })
        : await writeTriton(model, args.output, {
            ...common,
            io: (args.io ?? 'uint8') as 'uint8',
            force: args.force ?? false,
            config: {
              device: args.device as 'auto',
              ...(batch !== undefined && { maxBatch: batch }),
              ...optional('instances', numberFlag('instances', args.instances, { min: 1, max: 64, integer: true })),
              ...optional('tensorrt', args.tensorrt as 'fp16' | 'fp32' | undefined),
            },
          });
    if (args.json) process.stdout.write(`${JSON.stringify({ model: model.name, written })}\n`);
    else for (const { path, bytes } of written) process.stdout.write(`${path}  ${grouped(bytes)} bytes\n`);
    return EXIT.done;
  },
});

type Graph = Omit<EmitOptions, 'model' | 'weights'>;

async function writeOnnx(
  model: ModelRef,
  path: string,
  { force, ...graph }: Graph & { force: boolean },
): Promise<Written[]> {
  await mkdir(dirname(path), { recursive: true });
  await checkWritable(path, { force });
  const { onnx } = await emit(model, graph);
  await writeAtomically(path, onnx, { force });
  return [{ path, bytes: onnx.byteLength }];
}

/** Two graphs a model: one that sees a whole (small) image, and one for tiles of a large one. */
async function writeTriton(
  model: ModelRef,
  folder: string,
  { force, config, io, ...graph }: Graph & { force: boolean; io: 'uint8' | 'float'; config: object },
): Promise<Written[]> {
  const written: Written[] = [];
  for (const given of ['own', 'given'] as const) {
    const variant = { io, statistics: given, quadrants: given };
    const name = graphName({ model: model.name, ...variant });
    const { onnx, inputs, outputs } = await emit(model, { ...graph, ...variant });
    // A graph over one image's statistics has an input without a batch axis, so Triton cannot batch it.
    const options = given === 'given' ? { ...config, maxBatch: 0 } : config;
    const pbtxt = tritonConfig({ name, inputs, outputs, ...options });
    for (const [path, content] of [
      [join(folder, name, '1', 'model.onnx'), onnx],
      [join(folder, name, 'config.pbtxt'), new TextEncoder().encode(pbtxt)],
    ] as const) {
      await mkdir(dirname(path), { recursive: true });
      await writeAtomically(path, content, { force });
      written.push({ path, bytes: content.byteLength });
    }
  }
  return written;
}

async function emit(model: ModelRef, graph: Graph) {
  const { state } = readSafetensors(await model.bytes(), model.name);
  return emitElf({ ...graph, model: model.manifest.preset, weights: state });
}

function shapeFlag(text: string | undefined, batch: number): EmitOptions['shape'] {
  if (text === undefined) return undefined;
  const [, height, width] = /^(\d{1,5})x(\d{1,5})$/.exec(text) ?? [];
  if (!height || !width) throw usageError(`--shape is HxW in pixels, for example 512x512, not "${text}".`);
  return { batch: Math.max(1, batch), height: Number(height), width: Number(width) };
}

function optional<K extends string, V>(name: K, value: V | undefined): { [key in K]?: V } {
  return (value === undefined ? {} : { [name]: value }) as { [key in K]?: V };
}
