import { type OptionRow, optionsOn, type RowsOn, type ValueOf } from '@elfin/core';
import { z } from 'zod';

type Rows = RowsOn<'rule'>;
type FieldOf<R> = R extends { readonly default: unknown }
  ? z.ZodDefault<z.ZodType<ValueOf<R>>>
  : z.ZodOptional<z.ZodType<ValueOf<R>>>;

function numberOf(row: Exclude<OptionRow, { kind: 'choice' }>) {
  const number = (row.kind === 'integer' ? z.int() : z.number()).min(row.min).max(row.max);
  if (row.kind === 'decimal') return number;
  const whole = row.multiple === undefined ? number : number.multipleOf(row.multiple);
  return row.words ? z.union([z.enum([...row.words]), whole]) : whole;
}

/** A row of core's table of options as a field of a rule. */
function fieldOf(row: OptionRow) {
  const type: z.ZodType<string | number> = row.kind === 'choice' ? z.enum([...row.values]) : numberOf(row);
  const field = row.default === undefined ? type.optional() : type.default(row.default);
  return field.describe(row.about);
}

/** Every option of a restoration that a rule may name, with core's ranges and defaults. */
export const OPTION_FIELDS = Object.fromEntries(
  Object.entries(optionsOn('rule')).map(([name, row]) => [name, fieldOf(row)]),
) as unknown as { readonly [K in keyof Rows]: FieldOf<Rows[K]> };
