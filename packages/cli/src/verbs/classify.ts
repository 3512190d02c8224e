import { type Classified, createRestorer } from '@elfin/core/node';
import { listenForInterruption } from '../batch/interruption.ts';
import { defineVerb } from '../flags/command.ts';
import { bundledModels } from '../flags/models.ts';
import { LIMITS } from '../flags/restore.ts';
import { expandInputs } from '../io/inputs.ts';
import { printable } from '../io/printable.ts';
import { sourceOf } from '../io/source.ts';
import { EXIT, type Failure, failureOf, printFailure, usageError } from '../report/failure.ts';
import { table } from '../report/table.ts';

interface Row {
  readonly input: string;
  readonly classification?: Classified['classification'] | undefined;
  readonly error?: Failure | undefined;
}

/** Tells what `--task auto` would do with each photo, as a table. */
export const classify = defineVerb({
  name: 'classify',
  description: 'Tell what --task auto would restore photos from; nothing is restored or written',
  args: {
    inputs: { type: 'positional', description: 'Files, folders, globs, URLs, or - for standard input', required: true },
  },
  examples: ['elfin classify photos/', 'elfin classify "shots/*.jpg" --json'],
  async run({ args, words }) {
    if (words.length === 0) throw usageError('Name what to classify: files, folders, globs, or - for standard input.');
    const { inputs, refused } = await expandInputs(words);
    using interruption = listenForInterruption();
    await using restorer = createRestorer({ models: bundledModels() });
    const rows: Row[] = [...refused].map(([input, error]) => ({ input, error: failureOf(error) }));
    for (const input of inputs) {
      if (interruption.signal.aborted) break;
      try {
        const { signal } = interruption;
        const source = await sourceOf(input, { limit: LIMITS.bytes, signal });
        const { classification } = await restorer.classify(source, { limits: LIMITS, animated: 'first', signal });
        rows.push({ input: input.path, classification });
      } catch (error) {
        if (interruption.signal.aborted) break;
        if (!args.json) printFailure(error, { subject: input.path, debug: args.debug === true });
        rows.push({ input: input.path, error: failureOf(error) });
      }
    }
    process.stdout.write(args.json ? `${JSON.stringify({ images: rows })}\n` : tableOf(rows));
    if (interruption.exitCode) return interruption.exitCode;
    return rows.some(({ error }) => error) ? EXIT.failed : EXIT.done;
  },
});

function tableOf(rows: readonly Row[]): string {
  const cells = rows.map(({ input, classification, error }) => [
    printable(input),
    error ? `failed: ${error.code}` : (classification?.task ?? ''),
    classification ? `${Math.round(classification.confidence * 100)} %` : '',
    Object.entries(classification?.scores ?? {})
      .filter(([name]) => name !== classification?.task)
      .map(([name, share]) => `${name} ${Math.round(share * 100)} %`)
      .join(', '),
  ]);
  return table([['input', 'would be restored from', 'certainty', 'else'], ...cells]);
}
