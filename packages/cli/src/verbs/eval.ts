import { createModelRef, ElfinError, type ModelRef, type PixelImage, sha256, TASKS, type Task } from '@elfin/core';
import { psnr, ssim, uciqe, uiqm } from '@elfin/core/metrics';
import { createRestorer, loadSharpCodec } from '@elfin/core/node';
import { readSafetensors, writeSafetensors } from '@elfin/core/weights';
import { defineVerb } from '../flags/command.ts';
import { createDevice, DEVICE_FLAG } from '../flags/device.ts';
import { bundledModels, MODEL_FLAG, openModel } from '../flags/models.ts';
import { OPTION_FLAGS, readOptionFlags } from '../flags/options.ts';
import { imagesBelow, readableFile } from '../io/inputs.ts';
import { nameIn, pairWithTargets } from '../io/pairs.ts';
import { withoutComparisons } from '../io/results.ts';
import { EXIT, type Failure, failureOf, printFailure, usageError } from '../report/failure.ts';
import { table } from '../report/table.ts';

type Scores = Readonly<Record<string, number>>;

interface Measured {
  readonly name: string;
  /** Of the input as it is; only where a task restores it. */
  readonly input?: Scores;
  readonly scores?: Scores;
  readonly error?: Failure;
}

/** PSNR and SSIM as the deraining papers compute them; UIQM and UCIQE where there is no target. */
export const evaluate = defineVerb({
  name: 'eval',
  description:
    'Measure images against targets (PSNR, SSIM) or by themselves (UIQM, UCIQE); with --task, restore them first',
  args: {
    input: { type: 'string', valueHint: 'folder', description: 'Images to measure (required)' },
    target: {
      type: 'string',
      valueHint: 'folder',
      description: 'Their truths, under the same paths, extensions aside; without it UIQM and UCIQE',
    },
    space: {
      type: 'enum',
      options: ['y', 'rgb'],
      description: 'Default: y, as for rain; rgb where --task is lowlight or underwater',
    },
    task: {
      type: 'enum',
      options: [...TASKS],
      description: 'Restore the inputs first, and measure them before and after',
    },
    model: MODEL_FLAG,
    tiling: { ...OPTION_FLAGS.tiling, default: 'auto' },
    tile: OPTION_FLAGS.tile,
    passes: OPTION_FLAGS.passes,
    precision: {
      type: 'enum',
      options: ['stored', 'float32', 'float16'],
      default: 'stored',
      description: 'Round the weights to this first',
    },
    device: DEVICE_FLAG,
  },
  examples: [
    'elfin eval --input restored/ --target clean/',
    'elfin eval --input rainy/ --target clean/ --task derain --tiling global --passes 2 --json',
    'elfin eval --input underwater/',
  ],
  async run({ args, words }) {
    if (words.length > 0) throw usageError(`eval takes no "${words[0]}": name folders with --input and --target.`);
    if (!args.input) throw usageError('--input is missing.');
    const restoring = args.model !== MODEL_FLAG.default || args.tiling !== 'auto' || args.precision !== 'stored';
    if (!args.task && (restoring || args.tile || args.passes))
      throw usageError('--model, --tiling, --tile, --passes and --precision need --task: they say how to restore.');
    const inputs = await filesOf(args.input);
    const targets = args.target
      ? pairWithTargets(
          { folder: args.input, files: inputs },
          { folder: args.target, files: await filesOf(args.target) },
        )
      : undefined;
    const codec = await loadSharpCodec();
    const read = async (path: string) => codec.decode(await readableFile(path));
    const task = args.task as Task | undefined;
    const space = (args.space as 'y' | 'rgb' | undefined) ?? (task && task !== 'derain' ? 'rgb' : 'y');
    const measure = (image: PixelImage, truth: PixelImage | undefined): Scores =>
      truth
        ? { psnr: psnr(image, truth, space), ssim: ssim(image, truth, space) }
        : { uiqm: uiqm(image).uiqm, uciqe: uciqe(image).uciqe };

    await using device = await createDevice(args.device);
    await using restorer = createRestorer({ models: bundledModels(), runtime: device.runtime });
    const model = task && (await atPrecision(await openModel(args.model, task), args.precision as Precision));
    const {
      tiling: mode,
      tile,
      passes,
    } = readOptionFlags({ tiling: args.tiling, tile: args.tile, passes: args.passes });
    const tiling = { mode, tile, passes };

    const images: Measured[] = [];
    for (const file of inputs) {
      const name = nameIn(args.input, file);
      try {
        const partner = targets?.get(file);
        if (targets && !partner)
          throw new ElfinError('INPUT_UNREADABLE', `${args.target} holds no target named ${name}.`);
        const image = await read(file);
        const truth = partner ? await read(partner) : undefined;
        const before = measure(image, truth);
        if (!task || !model) images.push({ name, scores: before });
        else {
          const restored = await restorer.restore(image, { task, model, tiling });
          images.push({ name, input: before, scores: measure(restored.image, truth) });
        }
      } catch (error) {
        if (!args.json) printFailure(error, { subject: file, debug: args.debug === true });
        images.push({ name, error: failureOf(error) });
      }
    }
    const mean = meanOf(images.flatMap(({ scores }) => (scores ? [scores] : [])));
    const input = meanOf(images.flatMap(({ input: scores }) => (scores ? [scores] : [])));
    const restored = Object.keys(input).length > 0;
    if (args.json)
      process.stdout.write(
        `${JSON.stringify({ mean, ...(restored && { input }), ...(model && { model: model.name, precision: model.manifest.dtype, tiling }), images })}\n`,
      );
    else process.stdout.write(report(images, mean, restored ? input : undefined));
    return images.some(({ error }) => error) ? EXIT.failed : EXIT.done;
  },
});

type Precision = 'stored' | 'float32' | 'float16';

/** The same model with its weights rounded as another storage would. */
async function atPrecision(model: ModelRef, precision: Precision): Promise<ModelRef> {
  if (precision === 'stored' || model.manifest.dtype === precision) return model;
  const { state } = readSafetensors(await model.bytes(), model.name);
  const bytes = writeSafetensors(state, { dtype: precision === 'float16' ? 'F16' : 'F32' });
  return createModelRef({ ...model.manifest, dtype: precision, sha256: await sha256(bytes) }, async () => bytes);
}

async function filesOf(folder: string): Promise<string[]> {
  const files = await imagesBelow(folder);
  if (files.length === 0) throw usageError(`${folder} holds no images.`);
  return withoutComparisons(files);
}

/** Means by name; equal pictures, whose PSNR is infinite, count only where all are equal, as in training/evaluate.py. */
function meanOf(all: readonly Scores[]): Scores {
  const names = Object.keys(all[0] ?? {});
  return Object.fromEntries(
    names.map((name) => {
      const values = all.map((scores) => scores[name]!).filter(Number.isFinite);
      const sum = values.reduce((total, value) => total + value, 0);
      return [name, values.length > 0 ? sum / values.length : Number.POSITIVE_INFINITY];
    }),
  );
}

function report(images: readonly Measured[], mean: Scores, input: Scores | undefined): string {
  const names = Object.keys(mean);
  const digits = (name: string) => (name === 'psnr' ? 2 : 4);
  const row = (label: string, scores: Scores | undefined, before: Scores | undefined) => [
    label,
    ...names.flatMap((name) => {
      const format = (from: Scores | undefined) => from?.[name]?.toFixed(digits(name)).replace('Infinity', '∞') ?? '–';
      return input ? [format(before), format(scores)] : [format(scores)];
    }),
  ];
  const head = ['image', ...names.flatMap((name) => (input ? [`${name} in`, `${name} out`] : [name]))];
  const rows = images.map((image) => row(image.name, image.scores, image.input));
  return table([head, ...rows, row('mean', mean, input)]);
}
