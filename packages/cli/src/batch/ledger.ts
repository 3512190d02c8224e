import { createHash } from 'node:crypto';
import { appendFile, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ElfinError } from '@elfin/core';
import { printable } from '../io/printable.ts';

/** The file beside results in which `--resume` finds what each of them was made from. */
export const LEDGER = '.elfin-results.jsonl';

/** What one result was made from, and with. */
interface Entry {
  readonly result: string;
  /** Size and time of the source, as `stat` tells them. */
  readonly source: string;
  /** Digest of options, weights and elfin's own version. */
  readonly made: string;
}

/** Which results of earlier runs still stand. */
export interface Ledger {
  /** Whether a result is there that was made from this source, with these options and weights. */
  stands(result: string, source: string): Promise<boolean>;
  /** Writes down that it was made. Errors: OUTPUT_UNWRITABLE. */
  add(result: string, source: string): Promise<void>;
}

/**
 * The ledgers of all folders that results go to: a line of JSON a result, appended when the result is there, so that a crash
 * loses one line at most. A result that no line speaks of counts as made from whatever its source is now, if it is younger.
 *
 * @param ingredients Everything that decides a result's bytes beside its source.
 */
export function openLedger(ingredients: unknown): Ledger {
  const made = createHash('sha256').update(JSON.stringify(ingredients)).digest('hex').slice(0, 16);
  const folders = new Map<string, Promise<Map<string, Entry>>>();
  const entriesOf = (folder: string) => {
    const entries = folders.get(folder) ?? readEntries(join(folder, LEDGER));
    folders.set(folder, entries);
    return entries;
  };
  return {
    async stands(result, source) {
      const [there, from] = await Promise.all([timesOf(result), timesOf(source)]);
      if (!there || !from) return false;
      const entry = (await entriesOf(dirname(result))).get(basename(result));
      return entry ? entry.made === made && entry.source === from.name : there.time >= from.time;
    },
    async add(result, source) {
      const from = await timesOf(source);
      if (!from) return;
      const entry: Entry = { result: basename(result), source: from.name, made };
      (await entriesOf(dirname(result))).set(entry.result, entry);
      const file = join(dirname(result), LEDGER);
      await appendFile(file, `${JSON.stringify(entry)}\n`).catch((cause: NodeJS.ErrnoException) => {
        throw new ElfinError('OUTPUT_UNWRITABLE', `${printable(file)} cannot be written (${cause.code}).`, { cause });
      });
    },
  };
}

async function timesOf(path: string): Promise<{ readonly name: string; readonly time: number } | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found && { name: `${found.size}-${found.mtimeMs}`, time: found.mtimeMs };
}

/** Lines that are cut off or no entries are passed over: what they spoke of is made again, or judged by its time. */
async function readEntries(file: string): Promise<Map<string, Entry>> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const entries = new Map<string, Entry>();
  for (const line of text.split('\n')) {
    const entry = parse(line);
    if (entry) entries.set(entry.result, entry);
  }
  return entries;
}

function parse(line: string): Entry | undefined {
  try {
    const { result, source, made } = JSON.parse(line) as Partial<Entry>;
    return result !== undefined && source !== undefined && made !== undefined ? { result, source, made } : undefined;
  } catch {
    return undefined;
  }
}
