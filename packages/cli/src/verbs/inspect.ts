import {
  describeElf,
  type ElfDescription,
  type OnnxSummary,
  PRESETS,
  type PresetName,
  summariseOnnx,
  TASKS,
  type Task,
} from '@elfin/core';
import { defineVerb } from '../flags/command.ts';
import { openModel } from '../flags/models.ts';
import { readableFile } from '../io/inputs.ts';
import { EXIT, usageError } from '../report/failure.ts';
import { giga, grouped, table } from '../report/table.ts';

/** What a network or a file consists of, without running it. */
export const inspect = defineVerb({
  name: 'inspect',
  description: 'Show what a preset, a model or an ONNX file consists of: parameters, MACs, operators, statistics',
  args: {
    what: {
      type: 'positional',
      description: 'Preset, model (lw, full, folder, .safetensors) or .onnx',
      required: true,
    },
    task: { type: 'enum', options: [...TASKS], default: 'derain', description: 'Task of lw and full' },
  },
  examples: ['elfin inspect elf-lw', 'elfin inspect lw --task derain', 'elfin inspect my-model/ --json'],
  async run({ args, words }) {
    const [what, ...more] = words;
    if (what === undefined || more.length > 0) throw usageError('inspect takes one preset, model or file.');
    if (/\.onnx$/i.test(what)) {
      const summary = summariseOnnx(await readableFile(what), what);
      process.stdout.write(args.json ? `${JSON.stringify(summary)}\n` : onnxText(what, summary));
      return EXIT.done;
    }
    const preset = PRESETS.find((name) => name === what);
    const model = preset ? undefined : await openModel(what, args.task as Task);
    const name = preset ?? model!.manifest.preset;
    const description = describeElf(name);
    process.stdout.write(
      args.json
        ? `${JSON.stringify({ ...(model && { name: model.name, manifest: model.manifest }), preset: name, ...description })}\n`
        : (model ? modelText(model) : '') + networkText(name, description),
    );
    return EXIT.done;
  },
});

function modelText({ name, digest, manifest }: Awaited<ReturnType<typeof openModel>>): string {
  const facts: [string, string][] = [
    ['model', name],
    ['sha-256', digest],
    ['task', manifest.task],
    ['training crop', `${manifest.crop} px`],
    ['stored as', manifest.dtype],
    ['license', manifest.license],
    ['trained on', manifest.data.map((set) => `${set.name} (${set.license})`).join('; ')],
  ];
  const scores = manifest.scores.map(({ set, metric, input, output }) => [
    set,
    metric,
    input?.toFixed(2) ?? '–',
    output.toFixed(2),
  ]);
  return `${facts.map(([key, value]) => `${key.padEnd(14)}${value}\n`).join('')}${
    scores.length > 0 ? `\n${table([['validation set', 'metric', 'input', 'output'], ...scores])}` : ''
  }\n`;
}

function networkText(preset: PresetName, network: ElfDescription): string {
  const { config, stored, parameters, convolutionMacs, attentionMacs, statisticsLength, operators } = network;
  const blocks = network.blocks.map(({ block, parameters: count, convolutionMacs: conv, attentionMacs: attention }) => [
    block,
    grouped(count),
    giga(conv),
    giga(attention),
  ]);
  return [
    `preset        ${preset}: ${config.channels} channels, ${config.blocks} transformer blocks a branch, gate ${config.gate}, output ${config.output}\n`,
    `parameters    ${grouped(stored)} in ${parameters.length} keys\n`,
    `MACs @ 256²   ${giga(convolutionMacs)} G convolution + ${giga(attentionMacs)} G attention\n`,
    `statistics    ${grouped(statisticsLength)} floats, ${grouped(statisticsLength * 4)} bytes an image\n\n`,
    table([['block', 'parameters', 'conv GMACs', 'attention GMACs'], ...blocks]),
    '\n',
    operatorTable(operators),
  ].join('');
}

function onnxText(path: string, { bytes, opset, operators, inputs, outputs, metadata }: OnnxSummary): string {
  const ports = [...inputs.map((port) => ['in', port] as const), ...outputs.map((port) => ['out', port] as const)];
  return [
    `${path}: ${grouped(bytes)} bytes, opset ${opset}\n`,
    ...Object.entries(metadata).map(([key, value]) => `${key} = ${value}\n`),
    '\n',
    table([
      ['', 'tensor', 'type', 'shape'],
      ...ports.map(([way, { name, type, shape }]) => [way, name, type, `[${shape.join(', ')}]`]),
    ]),
    '\n',
    operatorTable(operators),
  ].join('');
}

function operatorTable(operators: Readonly<Record<string, number>>): string {
  return table([['operator', 'count'], ...Object.entries(operators)]);
}
