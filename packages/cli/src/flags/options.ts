import {
  expectedText,
  invalidOption,
  type OptionRow,
  optionsOn,
  type ResultOptions,
  type RowsOn,
  readOption,
} from '@elfin/core';

type FlagName = keyof RowsOn<'flag'>;
type Flag = { readonly type: 'string'; readonly valueHint: string; readonly description: string };

const ROWS = Object.entries(optionsOn('flag')) as [FlagName, OptionRow][];

function hintOf(row: OptionRow): string {
  if (row.kind === 'choice') return row.values.join('|');
  const words = row.kind === 'integer' ? (row.words ?? []) : [];
  return [...words, `${row.min}…${row.max}`].join('|');
}

/** The flags of every option of a restoration, out of core's table. */
export const OPTION_FLAGS = Object.fromEntries(
  ROWS.map(([name, row]) => {
    const standard = row.default === undefined ? '' : ` (default ${row.default})`;
    const description = `${row.about.replace(/\.$/, '')}${standard}`;
    return [name, { type: 'string', valueHint: hintOf(row), description }];
  }),
) as { readonly [K in FlagName]: Flag };

/** What the flags say, by the names of the table. Errors: OPTION_INVALID. */
export function readOptionFlags(
  args: { readonly [K in FlagName]?: string | undefined },
): Partial<Pick<ResultOptions, FlagName>> {
  const given = ROWS.flatMap(([name, row]) => {
    const text = args[name];
    if (text === undefined) return [];
    const value = readOption(row, text);
    if (value === undefined) throw invalidOption(`--${name}`, expectedText(row), text);
    return [[name, value]];
  });
  return Object.fromEntries(given) as Partial<Pick<ResultOptions, FlagName>>;
}
