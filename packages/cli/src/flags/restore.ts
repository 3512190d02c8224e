import { type Limits, type OutputFormat, type RestoreOptions, restoreOptionsOf, TASKS } from '@elfin/core';
import type { EncodedOptions } from '@elfin/core/node';
import type { ParsedArgs } from 'citty';
import { defineFlags, numberFlag } from './command.ts';
import { DEVICE_FLAG } from './device.ts';
import { chooseModel, MODEL_FLAG } from './models.ts';
import { OPTION_FLAGS, readOptionFlags } from './options.ts';

/** Cameras of “50 megapixels” give up to 51.4. */
const MAX_MEGAPIXELS = 52;
/** Their photos as TIFF; a file is read whole. */
const MAX_MEGABYTES = 400;

/** What a photo may cost where no flag says otherwise. */
export const LIMITS: Limits = { pixels: MAX_MEGAPIXELS * 1e6, bytes: MAX_MEGABYTES * 1e6 };

/** The flags of `elfin restore`. */
export const RESTORE_FLAGS = defineFlags({
  inputs: {
    type: 'positional',
    description:
      'What to restore; folders and globs leave out results of earlier runs: what lies below -o, and a.restored.*, a.compare.jpg and a.map.png where a.* is there',
    required: true,
  },
  output: {
    type: 'string',
    alias: 'o',
    valueHint: 'file|folder|-',
    description:
      'Where results go (default: <name>.restored.<ext> beside each); with - neither --json nor --compare nor --map',
  },
  task: { type: 'enum', options: [...TASKS, 'auto'], default: 'derain', description: 'What to restore from' },
  model: MODEL_FLAG,
  device: DEVICE_FLAG,
  threads: { type: 'string', valueHint: 'n', description: 'CPU threads (default: all)' },
  ...OPTION_FLAGS,
  format: { ...OPTION_FLAGS.format, description: 'Format of results (default: by -o, else the source’s)' },
  metadata: { ...OPTION_FLAGS.metadata, default: 'keep', description: 'What of the source’s metadata is kept' },
  animated: {
    type: 'enum',
    options: ['refuse', 'first'],
    default: 'refuse',
    description: 'What becomes of animations',
  },
  strict: { type: 'boolean', description: 'Refuse damage that every viewer forgives' },
  compare: { type: 'boolean', description: 'Also write source and result side by side' },
  map: { type: 'boolean', description: 'Also write the degradation that the network found' },
  jobs: {
    type: 'string',
    alias: 'j',
    valueHint: 'n',
    description: 'Images in hand at once (default 1; more pays with workers)',
  },
  'max-pixels': {
    type: 'string',
    valueHint: 'megapixels',
    description: `Refuse larger images (default ${MAX_MEGAPIXELS})`,
  },
  'max-bytes': {
    type: 'string',
    valueHint: 'megabytes',
    description: `Refuse larger files (default ${MAX_MEGABYTES})`,
  },
  force: { type: 'boolean', description: 'Replace what exists' },
  'skip-existing': { type: 'boolean', description: 'Leave out inputs whose result exists' },
  resume: {
    type: 'boolean',
    description: 'Do what is missing or out of date: an older result, other options, other weights',
  },
  'dry-run': { type: 'boolean', alias: 'n', description: 'Say what would be done, and write nothing' },
  quiet: { type: 'boolean', alias: 'q', description: 'Print nothing but failures' },
  verbose: { type: 'boolean', description: 'Say of every photo how it was restored' },
});

/** Its flags as they were given. */
export type RestoreArgs = ParsedArgs<typeof RESTORE_FLAGS>;

/** What the flags say of a restoration and of how its result is written. Errors: OPTION_INVALID, and those of `loadModel`. */
export async function restoreOptions(args: RestoreArgs): Promise<EncodedOptions> {
  const megapixels = numberFlag('max-pixels', args['max-pixels'], { min: 0.0001, max: 10_000 }) ?? MAX_MEGAPIXELS;
  const megabytes = numberFlag('max-bytes', args['max-bytes'], { min: 0.0001, max: 2000 }) ?? MAX_MEGABYTES;
  const task = args.task as RestoreOptions['task'];
  const { format: _, quality, metadata, icc, ...chosen } = readOptionFlags(args);
  return {
    ...restoreOptionsOf({ restore: task, format: 'png', ...chosen }),
    model: await chooseModel(args.model, task === 'auto' ? {} : { task }),
    icc,
    strict: args.strict,
    animated: args.animated as 'refuse',
    limits: { pixels: Math.round(megapixels * 1e6), bytes: Math.round(megabytes * 1e6) },
    metadata,
    quality,
  };
}

/** `--format`, where it was given. Errors: OPTION_INVALID. */
export const formatFlag = (args: RestoreArgs): OutputFormat | undefined => readOptionFlags(args).format;
