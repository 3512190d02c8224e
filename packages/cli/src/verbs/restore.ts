import { basename } from 'node:path';
import { ElfinError, type RestoreOptions, type RestoreReport, restoreOptionsOf, TASKS } from '@elfin/core';
import { createRestorer } from '@elfin/core/node';
import pLimit from 'p-limit';
import { defineVerb, given, numberFlag } from '../flags/command.ts';
import { createDevice, DEVICE_FLAG } from '../flags/device.ts';
import { bundledModels, chooseModel, MODEL_FLAG } from '../flags/models.ts';
import { OPTION_FLAGS, readOptionFlags } from '../flags/options.ts';
import { expandInputs, type Input } from '../io/inputs.ts';
import { planOutputs, type Target } from '../io/outputs.ts';
import { EXIT, type Failure, failureOf, printFailure, usageError } from '../report/failure.ts';
import { createProgress, type ProgressLine } from '../report/progress.ts';
import { restoreOne } from '../restore-one.ts';

/** What became of one input, as `--json` prints it. */
export interface Outcome {
  readonly input: string;
  readonly output?: string;
  readonly comparison?: string;
  readonly map?: string;
  readonly report?: RestoreReport;
  readonly error?: Failure;
}

/** Cameras of “50 megapixels” give up to 51.4. */
const MOST_MEGAPIXELS = 52;
/** Their photos as TIFF; a file is read whole. */
const MOST_MEGABYTES = 400;

/** Restores files, folders, globs or standard input; a failed one never stops the rest. */
export const restore = defineVerb({
  name: 'restore',
  description: 'Restore photos: files, folders, globs, or - for standard input',
  args: {
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
    icc: {
      type: 'enum',
      options: ['keep', 'srgb'],
      default: 'keep',
      description: 'Keep the colour profile, or convert to sRGB',
    },
    animated: {
      type: 'enum',
      options: ['refuse', 'first'],
      default: 'refuse',
      description: 'What becomes of animations',
    },
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
      description: `Refuse larger images (default ${MOST_MEGAPIXELS})`,
    },
    'max-bytes': {
      type: 'string',
      valueHint: 'megabytes',
      description: `Refuse larger files (default ${MOST_MEGABYTES})`,
    },
    force: { type: 'boolean', description: 'Replace what exists' },
  },
  examples: [
    'elfin restore rainy.jpg',
    'elfin restore photos/ -o restored/ --task auto --compare',
    'elfin restore "shots/*.png" -o restored/ --format webp --strength 0.8',
    'cat dark.jpg | elfin restore - --task lowlight > bright.jpg',
    'elfin restore big.tif -o big.restored.tif --device http://gpu-1:8000,http://gpu-2:8000',
  ],
  async run({ args, words }) {
    if (words.length === 0) throw usageError('Name what to restore: files, folders, globs, or - for standard input.');
    const megapixels = numberFlag('max-pixels', args['max-pixels'], { min: 0.0001, max: 10_000 }) ?? MOST_MEGAPIXELS;
    const megabytes = numberFlag('max-bytes', args['max-bytes'], { min: 0.0001, max: 2000 }) ?? MOST_MEGABYTES;
    const task = args.task as RestoreOptions['task'];
    const { format, quality, metadata, ...chosen } = readOptionFlags(args);
    const options = {
      ...restoreOptionsOf({ restore: task, format: 'png', ...chosen }),
      model: await chooseModel(args.model, task === 'auto' ? {} : { task }),
      icc: args.icc as 'srgb',
      animated: args.animated as 'refuse',
      limits: { pixels: Math.round(megapixels * 1e6), bytes: Math.round(megabytes * 1e6) },
    };
    const encoding = { metadata, quality };
    const { inputs, leftOut } = await expandInputs(words, args.output);
    const plan = await planOutputs(inputs, {
      output: args.output,
      format,
      compare: args.compare === true,
      map: args.map === true,
    });
    const piped = [...plan.values()].some(({ path }) => path === '-');
    if (piped && args.json)
      throw usageError('The image goes to standard output, where --json would write as well: name a file with -o.');
    const threads = numberFlag('threads', args.threads, { min: 1, max: 1024, integer: true });
    await using device = await createDevice(args.device, given('threads', threads));
    const jobs = numberFlag('jobs', args.jobs, { min: 1, max: 64, integer: true }) ?? 1;
    await using restorer = createRestorer({ models: bundledModels(), runtime: device.runtime, concurrency: jobs });
    const interruption = interruptible();
    const quiet = args.json === true || piped;
    const progress = createProgress({ enabled: !quiet });

    const work = async ([input, target]: [Input, Target]): Promise<Outcome> => {
      const label = basename(input.path);
      try {
        const done = await restoreOne(restorer, input, target, {
          options: {
            ...options,
            ...encoding,
            signal: interruption.signal,
            onProgress: (state) => show(progress, label, state),
          },
          force: args.force === true,
        });
        progress.stop();
        if (!quiet) process.stderr.write(describe(input, done));
        return done;
      } catch (error) {
        progress.stop();
        if (!args.json) printFailure(error, { subject: input.path, debug: args.debug === true });
        return { input: input.path, error: failureOf(error) };
      }
    };
    if (leftOut > 0 && !args.json)
      process.stderr.write(`${leftOut} left out as ${leftOut === 1 ? 'a result' : 'results'} of earlier runs\n`);
    const limit = pLimit(jobs);
    const outcomes = await Promise.all([...plan].map((entry) => limit(work, entry)));
    interruption.end();
    const failed = outcomes.filter(({ error }) => error).length;
    if (args.json)
      process.stdout.write(
        `${JSON.stringify({ restored: outcomes.length - failed, failed, leftOut, images: outcomes })}\n`,
      );
    else if (outcomes.length > 1) process.stderr.write(`${outcomes.length - failed} restored, ${failed} failed\n`);
    return failed > 0 ? EXIT.failed : EXIT.done;
  },
});

function show(line: ProgressLine, label: string, { phase, fraction }: { phase: string; fraction: number }): void {
  line.update({ label, phase, done: Math.round(fraction * 1000), total: 1000 });
}

function describe({ path }: Input, { output, comparison, map, report }: Outcome): string {
  const extra = [comparison, map].filter((file) => file !== undefined).map((file) => `\n    and ${file}`);
  if (!report || report.task === 'none') return `${path}: nothing to restore, copied → ${output}${extra.join('')}\n`;
  const { task, model, backend, resolution, tiling, tiles, timings } = report;
  const threads = backend.threads > 0 ? ` × ${backend.threads} threads` : '';
  const seconds = (timings.total / 1000).toFixed(1);
  const how = `${task} with ${model}, ${backend.provider}${threads}, seen at ${resolution.width} × ${resolution.height}, ${tiling}, ${tiles} ${tiles === 1 ? 'tile' : 'tiles'}, ${seconds} s`;
  return `${path} → ${output}\n    ${how}${extra.join('')}\n`;
}

/** Ctrl-C stops the work in hand and leaves nothing half-written; a second one ends the process at once. */
function interruptible(): { readonly signal: AbortSignal; end(): void } {
  const controller = new AbortController();
  const stop = () => controller.abort(new ElfinError('ABORTED', 'Interrupted.'));
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  return {
    signal: controller.signal,
    end() {
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
    },
  };
}
