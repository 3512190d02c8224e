import { basename } from 'node:path';
import { PRESETS, type PresetName, TASKS, type Task } from '@elfin/core';
import { writeModel } from '@elfin/core/node';
import { importCheckpoint } from '@elfin/core/weights';
import { defineVerb, numberFlag } from '../flags/command.ts';
import { readableFile } from '../io/inputs.ts';
import { EXIT, usageError } from '../report/failure.ts';
import { grouped } from '../report/table.ts';

/** A checkpoint of the authors' code, or of ours, as a model folder. */
export const importVerb = defineVerb({
  name: 'import',
  description:
    'Turn a PyTorch (.pth, .pt) or safetensors checkpoint into a model folder; the checkpoint cannot run code',
  args: {
    checkpoint: { type: 'positional', description: 'The checkpoint', required: true },
    preset: { type: 'enum', options: [...PRESETS], description: 'Which network it belongs to (required)' },
    task: { type: 'enum', options: [...TASKS], description: 'What it restores (required)' },
    output: { type: 'string', alias: 'o', valueHint: 'folder', description: 'Where the model folder goes (required)' },
    crop: {
      type: 'string',
      valueHint: 'pixels',
      description: 'Side of the last training phase’s crops: decides local tiling',
    },
    variant: { type: 'string', valueHint: 'word', description: 'Tells trainings apart (default imported)' },
    dtype: {
      type: 'enum',
      options: ['float32', 'float16'],
      description: 'How weights are stored (default: as in the checkpoint)',
    },
    license: { type: 'string', valueHint: 'SPDX', description: 'Licence of the weights (default unknown)' },
    force: { type: 'boolean', description: 'Replace what exists' },
  },
  examples: [
    'elfin import ckpt.pth --preset elf-lw --task derain --crop 256 -o my-model',
    'elfin restore photo.jpg --model my-model',
  ],
  async run({ args, words }) {
    const [checkpoint, ...more] = words;
    if (checkpoint === undefined || more.length > 0) throw usageError('import takes one checkpoint.');
    for (const name of ['preset', 'task', 'output'] as const)
      if (!args[name]) throw usageError(`--${name} is missing.`);
    const crop = numberFlag('crop', args.crop, { min: 16, max: 4096, integer: true });
    const { manifest, weights, path, keys } = await importCheckpoint(await readableFile(checkpoint), {
      preset: args.preset as PresetName,
      task: args.task as Task,
      where: basename(checkpoint),
      ...(crop !== undefined && { crop }),
      ...(args.variant !== undefined && { variant: args.variant }),
      ...(args.dtype !== undefined && { dtype: args.dtype as 'float32' }),
      ...(args.license !== undefined && { license: args.license }),
    });
    const folder = args.output!;
    await writeModel(folder, { manifest, weights }, { force: args.force ?? false });
    if (args.json) process.stdout.write(`${JSON.stringify({ folder, manifest, keys, path })}\n`);
    else {
      const found = path.length > 0 ? ` (found under ${path.join('.')})` : '';
      process.stdout.write(
        `${folder}: ${keys} tensors${found}, ${grouped(weights.byteLength)} bytes, sha-256 ${manifest.sha256.slice(0, 12)}…\n`,
      );
    }
    return EXIT.done;
  },
});
