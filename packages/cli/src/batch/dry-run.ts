import { open } from 'node:fs/promises';
import { ElfinError, type Header, isElfinError, probeImage } from '@elfin/core';
import type { Input } from '../io/inputs.ts';
import type { OutputPlan } from '../io/outputs.ts';
import { printable } from '../io/printable.ts';
import { failureOf } from '../report/failure.ts';
import { table } from '../report/table.ts';
import type { Ledger } from './ledger.ts';
import { reasonToSkip, type SkipPolicy } from './skip.ts';

/** Headers of photos end within this; what a profile or a preview pushes further back is found in the whole file only. */
const HEAD_BYTES = 1024 * 1024;

/** One line of a dry run. */
export interface Planned {
  readonly input: string;
  readonly output?: string | undefined;
  readonly megapixels?: number | undefined;
  readonly format?: string | undefined;
  /** `restore`, or why not. */
  readonly would: string;
}

/** What a run would do with each input, as far as headers and names tell; nothing is decoded and nothing written. */
export async function planDryRun(
  plan: OutputPlan,
  inputs: readonly Input[],
  given: { readonly skip: SkipPolicy; readonly force: boolean; readonly ledger: Ledger | undefined },
): Promise<Planned[]> {
  const planned: Planned[] = [];
  for (const input of inputs) planned.push(await planOne(plan, input, given));
  return planned;
}

async function planOne(
  plan: OutputPlan,
  input: Input,
  given: { readonly skip: SkipPolicy; readonly force: boolean; readonly ledger: Ledger | undefined },
): Promise<Planned> {
  const refuse = (error: unknown) => ({ input: input.path, would: `fail: ${failureOf(error).message}` });
  const target = plan.targets.get(input);
  if (!target) return refuse(plan.refused.get(input));
  try {
    const skipped = await reasonToSkip(input, target, given);
    if (skipped) return { input: input.path, output: target.path, would: `skip: ${skipped}` };
    const header = input.kind === 'file' ? await headerOf(input.path) : undefined;
    const megapixels = header && (header.width * header.height) / 1e6;
    return { input: input.path, output: target.path, megapixels, format: header?.format, would: 'restore' };
  } catch (error) {
    return refuse(error);
  }
}

/** Undefined where the header lies further back. Errors: those of `probeImage`, INPUT_UNREADABLE. */
async function headerOf(path: string): Promise<Header | undefined> {
  await using file = await open(path).catch((cause: NodeJS.ErrnoException) => {
    const why = cause.code === 'ENOENT' ? 'it does not exist' : (cause.code ?? cause.message);
    throw new ElfinError('INPUT_UNREADABLE', `${printable(path)} cannot be read: ${why}.`, { cause });
  });
  const { size } = await file.stat();
  const head = new Uint8Array(Math.min(size, HEAD_BYTES));
  await file.read(head, 0, head.length, 0);
  try {
    return probeImage(head);
  } catch (error) {
    if (size > HEAD_BYTES && isElfinError(error) && error.code === 'IMAGE_TRUNCATED') return undefined;
    throw error;
  }
}

/** The table for people, with the sum below it. */
export function dryRunTable(planned: readonly Planned[]): string {
  const rows = planned.map(({ input, output = '–', megapixels, would }) => [
    printable(input),
    printable(output),
    megapixels === undefined ? '–' : megapixels.toFixed(1),
    printable(would),
  ]);
  const work = planned.filter(({ would }) => would === 'restore');
  const pixels = work.reduce((sum, { megapixels = 0 }) => sum + megapixels, 0);
  const sum = `${work.length} of ${planned.length} would be restored, ${pixels.toFixed(1)} megapixels; nothing was written\n`;
  return table([['input', 'output', 'megapixels', 'would'], ...rows]) + sum;
}
