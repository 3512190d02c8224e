import { basename } from 'node:path';
import { isElfinError } from '@elfin/core';
import type { EncodedOptions, NodeRestorer } from '@elfin/core/node';
import pLimit from 'p-limit';
import type { Input } from '../io/inputs.ts';
import type { OutputPlan, Target } from '../io/outputs.ts';
import { printable } from '../io/printable.ts';
import { failureOf, printFailure } from '../report/failure.ts';
import { createProgress } from '../report/progress.ts';
import { restoreOne } from '../restore-one.ts';
import { createEstimate, type Estimate } from './estimate.ts';
import type { Ledger } from './ledger.ts';
import { describeOutcome } from './lines.ts';
import type { Outcome } from './outcome.ts';
import { reasonToSkip, type SkipPolicy } from './skip.ts';

/** How a batch is worked through and told of. */
export interface BatchOptions {
  readonly restorer: NodeRestorer;
  readonly options: EncodedOptions;
  readonly signal: AbortSignal;
  readonly jobs: number;
  readonly force: boolean;
  readonly skip: SkipPolicy;
  /** Written where `--resume` is given. */
  readonly ledger: Ledger | undefined;
  readonly tell: {
    readonly quiet: boolean;
    readonly verbose: boolean;
    readonly json: boolean;
    readonly debug: boolean;
  };
}

/**
 * Restores what a plan names, `jobs` at a time, in order. One that fails never stops the rest; an abort leaves out of the
 * outcomes what was not finished.
 */
export async function runBatch(plan: OutputPlan, inputs: readonly Input[], batch: BatchOptions): Promise<Outcome[]> {
  const run = new BatchRun(plan, inputs, batch);
  const limit = pLimit(batch.jobs);
  const outcomes = await Promise.all(inputs.map((input) => limit(() => run.outcomeOf(input))));
  run.end();
  return outcomes.filter((outcome) => outcome !== undefined);
}

class BatchRun {
  readonly #plan: OutputPlan;
  readonly #batch: BatchOptions;
  readonly #estimate: Estimate;
  readonly #progress: ReturnType<typeof createProgress>;
  readonly #several: boolean;
  readonly #existing: Input[] = [];

  constructor(plan: OutputPlan, inputs: readonly Input[], batch: BatchOptions) {
    this.#plan = plan;
    this.#batch = batch;
    this.#several = inputs.length > 1;
    this.#estimate = createEstimate(inputs.map(({ bytes }) => bytes));
    this.#progress = createProgress({ enabled: !batch.tell.quiet && !batch.tell.json });
  }

  /** Undefined where the abort came first. */
  async outcomeOf(input: Input): Promise<Outcome | undefined> {
    const { signal } = this.#batch;
    if (signal.aborted) return undefined;
    try {
      const target = this.#plan.targets.get(input);
      if (!target) throw this.#plan.refused.get(input);
      const skipped = await reasonToSkip(input, target, this.#batch);
      const outcome = skipped
        ? { input: input.path, output: target.path, skipped }
        : await this.#restore(input, target);
      this.#told(outcome, skipped ? undefined : input.bytes);
      return outcome;
    } catch (error) {
      if (signal.aborted) return undefined;
      this.#failed(input, error);
      return { input: input.path, error: failureOf(error) };
    }
  }

  async #restore(input: Input, target: Target): Promise<Outcome> {
    const { restorer, options, signal, force, ledger } = this.#batch;
    const label = this.#several ? () => `${this.#estimate.text()}: ${printable(basename(input.path))}` : undefined;
    const name = printable(basename(input.relative));
    try {
      const outcome = await restoreOne(restorer, input, target, {
        options: {
          ...options,
          signal,
          onProgress: ({ phase, fraction, tiles }) =>
            this.#progress.update({
              label: label?.() ?? name,
              phase,
              done: Math.round(fraction * 1000),
              total: 1000,
              tiles,
            }),
        },
        force: force || this.#batch.skip === 'resume',
      });
      if (input.kind === 'file' && target.path !== '-') await ledger?.add(target.path, input.path);
      return outcome;
    } finally {
      this.#progress.stop();
    }
  }

  #told(outcome: Outcome, bytes: number | undefined): void {
    this.#estimate.done(bytes);
    const { tell } = this.#batch;
    if (tell.quiet || tell.json) return;
    const place = this.#several ? `[${this.#estimate.text()}] ` : '';
    process.stderr.write(place + describeOutcome(outcome, tell.verbose || !this.#several));
  }

  /** Says once what was true of many. */
  end(): void {
    const [first, second] = this.#existing;
    if (first === undefined) return;
    const names = this.#existing.slice(0, 3).map((input) => printable(this.#plan.targets.get(input)?.path ?? ''));
    const more = this.#existing.length > names.length ? ', …' : '';
    const what =
      second === undefined
        ? `${names[0]} exists`
        : `${this.#existing.length} results exist (${names.join(', ')}${more})`;
    const them = second === undefined ? 'it' : 'them';
    process.stderr.write(
      `elfin: ${what} already: --skip-existing leaves ${them}, --force replaces ${them}, --resume makes anew what is out of date. [OUTPUT_EXISTS]\n`,
    );
  }

  #failed(input: Input, error: unknown): void {
    this.#estimate.done(undefined);
    const { tell } = this.#batch;
    if (this.#several && !tell.json && isElfinError(error) && error.code === 'OUTPUT_EXISTS')
      this.#existing.push(input);
    else if (!tell.json) printFailure(error, { subject: input.path, debug: tell.debug });
  }
}
