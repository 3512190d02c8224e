import { createRestorer, type EncodedOptions } from '@elfin/core/node';
import { runBatch } from '../batch/batch.ts';
import { dryRunTable, planDryRun } from '../batch/dry-run.ts';
import { ingredientsOf } from '../batch/ingredients.ts';
import { type EndingSignal, listenForInterruption } from '../batch/interruption.ts';
import { openLedger } from '../batch/ledger.ts';
import { type Counts, countOutcomes, describeCounts, type Outcome } from '../batch/outcome.ts';
import type { SkipPolicy } from '../batch/skip.ts';
import { defineVerb, given, numberFlag } from '../flags/command.ts';
import { createDevice } from '../flags/device.ts';
import { bundledModels } from '../flags/models.ts';
import { formatFlag, RESTORE_FLAGS, type RestoreArgs, restoreOptions } from '../flags/restore.ts';
import { type Expanded, expandInputs, type Input } from '../io/inputs.ts';
import { type OutputPlan, planOutputs } from '../io/outputs.ts';
import { printable } from '../io/printable.ts';
import { EXIT, type ExitCode, failureOf, printFailure, usageError } from '../report/failure.ts';

/** Restores files, folders, globs, URLs or standard input; a failed one never stops the rest. */
export const restore = defineVerb({
  name: 'restore',
  description: 'Restore photos: files, folders, globs, URLs, or - for standard input',
  args: RESTORE_FLAGS,
  examples: [
    'elfin restore rainy.jpg',
    'elfin restore photos/ -o restored/ --task auto --compare',
    'elfin restore "shots/*.png" -o restored/ --format webp --strength 0.8',
    'cat dark.jpg | elfin restore - --task lowlight > bright.jpg',
    'elfin restore big.tif -o big.restored.tif --device http://gpu:8000',
  ],
  async run({ args, words }) {
    if (words.length === 0) throw usageError('Name what to restore: files, folders, globs, or - for standard input.');
    const found = await expandInputs(words, args.output);
    const plan = await planOutputs(found.inputs, {
      output: args.output,
      format: formatFlag(args),
      compare: args.compare,
      map: args.map,
    });
    const piped = [...plan.targets.values()].some(({ path }) => path === '-');
    if (piped && args.json)
      throw usageError('The image goes to standard output, where --json would write as well: name a file with -o.');
    const quiet = args.quiet === true || piped;
    if (!quiet && !args.json) tellLeftOut(found);
    return args['dry-run'] ? dryRun(args, plan, found.inputs) : restoreAll(args, plan, found, quiet);
  },
});

type Args = RestoreArgs & { readonly json?: boolean | undefined; readonly debug?: boolean | undefined };

function skipPolicy(args: Args): SkipPolicy {
  const named = (['skip-existing', 'resume', 'force'] as const).filter((name) => args[name]);
  if (named.length > 1) throw usageError(`--${named[0]} and --${named[1]} contradict each other: give one of them.`);
  return args.resume ? 'resume' : args['skip-existing'] ? 'existing' : 'refuse';
}

async function ledgerFor(args: Args, options: EncodedOptions) {
  return args.resume ? openLedger(await ingredientsOf(options, bundledModels())) : undefined;
}

async function dryRun(args: Args, plan: OutputPlan, inputs: readonly Input[]): Promise<ExitCode> {
  const options = await restoreOptions(args);
  const how = { skip: skipPolicy(args), force: args.force === true, ledger: await ledgerFor(args, options) };
  const planned = await planDryRun(plan, inputs, how);
  process.stdout.write(args.json ? `${JSON.stringify({ images: planned })}\n` : dryRunTable(planned));
  return EXIT.done;
}

async function restoreAll(args: Args, plan: OutputPlan, found: Expanded, quiet: boolean): Promise<ExitCode> {
  const options = await restoreOptions(args);
  const skip = skipPolicy(args);
  const ledger = await ledgerFor(args, options);
  const threads = numberFlag('threads', args.threads, { min: 1, max: 1024, integer: true });
  const jobs = numberFlag('jobs', args.jobs, { min: 1, max: 64, integer: true }) ?? 1;
  const [json, debug, verbose] = [args.json === true, args.debug === true, args.verbose === true];
  using interruption = listenForInterruption();
  const refused = [...found.refused].map(([path, error]): Outcome => {
    if (!json) printFailure(error, { subject: path, debug });
    return { input: path, error: failureOf(error) };
  });
  const links = [...found.links.keys()].map((path): Outcome => ({ input: path, skipped: 'same file' }));
  const done = await (async () => {
    await using device = await createDevice(args.device, given('threads', threads));
    await using restorer = createRestorer({ models: bundledModels(), runtime: device.runtime, concurrency: jobs });
    return await runBatch(plan, found.inputs, {
      restorer,
      options,
      signal: interruption.signal,
      jobs,
      force: args.force === true,
      skip,
      ledger,
      tell: { quiet, verbose, json, debug },
    });
  })();
  const outcomes = [...refused, ...links, ...done];
  const counts = countOutcomes(outcomes, found.inputs.length + refused.length + links.length);
  tellEnd({ counts, outcomes, leftOut: found.leftOut, by: interruption.by, json, quiet });
  if (interruption.exitCode) return interruption.exitCode;
  // Where the words alone are at fault, nothing was tried.
  const misused = plan.targets.size === 0 && plan.refused.size > 0;
  return misused ? EXIT.usage : counts.failed > 0 ? EXIT.failed : EXIT.done;
}

/** What a folder held that is not restored. */
function tellLeftOut({ leftOut, links, raw }: Expanded): void {
  if (leftOut > 0)
    process.stderr.write(`${leftOut} left out as ${leftOut === 1 ? 'a result' : 'results'} of earlier runs\n`);
  for (const [path, first] of links)
    process.stderr.write(`${printable(path)} is the same file as ${printable(first)}: restored once\n`);
  const named = raw.slice(0, 3).map((path) => printable(path));
  if (raw.length > 0)
    process.stderr.write(
      `${raw.length} RAW ${raw.length === 1 ? 'file' : 'files'} left out (${named.join(', ')}${raw.length > 3 ? ', …' : ''}): develop them first\n`,
    );
}

function tellEnd(end: {
  readonly counts: Counts;
  readonly outcomes: readonly Outcome[];
  readonly leftOut: number;
  readonly by: EndingSignal | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
}): void {
  const { counts, outcomes, leftOut, by, json, quiet } = end;
  if (json) process.stdout.write(`${JSON.stringify({ ...counts, leftOut, images: outcomes })}\n`);
  const told = describeCounts(counts, outcomes);
  if (by && !json) process.stderr.write(`elfin: interrupted by ${by}: ${told} [ABORTED]\n`);
  else if (!json && !quiet && outcomes.length > 1) process.stderr.write(`${told}\n`);
}
