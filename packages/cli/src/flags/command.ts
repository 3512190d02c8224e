import { type ParseArgsConfig, parseArgs } from 'node:util';
import { closestName, invalidOption } from '@elfin/core';
import type { ArgsDef, ParsedArgs } from 'citty';
import { EXIT, type ExitCode, exitCodeOf, failureOf, printFailure, usageError } from '../report/failure.ts';
import { renderHelp } from './help.ts';

/** A verb: its flags as a table (the help and the docs come from it) and what it does. */
interface TypedVerb<T extends ArgsDef> {
  readonly name: string;
  readonly description: string;
  readonly args: T;
  /** Lines shown below the flags in `--help`. */
  readonly examples: readonly string[];
  run(context: { readonly args: ParsedArgs<T & typeof COMMON>; readonly words: readonly string[] }): Promise<ExitCode>;
}

/** A verb among others: its flags' types known to itself only. */
export interface Verb extends Omit<TypedVerb<ArgsDef>, 'run'> {
  run(context: {
    readonly args: Readonly<Record<string, unknown>>;
    readonly words: readonly string[];
  }): Promise<ExitCode>;
}

/** Declares a verb; inside `run` its flags have the types that the table gives them. */
export function defineVerb<const T extends ArgsDef>(verb: TypedVerb<T>): Verb {
  return { ...verb, run: ({ args, words }) => verb.run({ args: args as ParsedArgs<T & typeof COMMON>, words }) };
}

/** Declares flags apart from their verb, with the types that the table gives them. */
export function defineFlags<const T extends ArgsDef>(flags: T): T {
  return flags;
}

/** Flags that every verb takes. */
export const COMMON = {
  json: { type: 'boolean', description: 'Print one JSON document on standard output, for programs' },
  debug: { type: 'boolean', description: 'Print stacks and causes with errors' },
  help: { type: 'boolean', alias: 'h', description: 'Show this help' },
} as const satisfies ArgsDef;

/** Parses, refuses what the table does not name, runs, and turns failures into one line and an exit code. */
export async function runVerb(verb: Verb, argv: readonly string[]): Promise<ExitCode> {
  const debug = argv.includes('--debug');
  const json = argv.includes('--json');
  try {
    const args = { ...COMMON, ...verb.args };
    if (argv.includes('--help') || argv.includes('-h')) {
      process.stdout.write(renderHelp({ ...verb, args }, process.stdout.columns));
      return EXIT.done;
    }
    const { values, positionals } = parseStrictly(verb.name, argv, args);
    return await verb.run({ args: { ...values, _: positionals }, words: positionals });
  } catch (error) {
    if (json) process.stdout.write(`${JSON.stringify({ error: failureOf(error) })}\n`);
    printFailure(error, { debug });
    return exitCodeOf(error);
  }
}

/**
 * Node's own strict parser over the table: citty's ignores flags that it does not know, and a typo would silently
 * change the result. Errors: OPTION_INVALID with the nearest flag.
 */
function parseStrictly(verb: string, argv: readonly string[], args: ArgsDef) {
  const named = Object.entries(args).filter(([, def]) => def.type !== 'positional');
  const options: NonNullable<ParseArgsConfig['options']> = {};
  for (const [name, def] of named) {
    const alias = 'alias' in def ? [def.alias ?? []].flat().find((word) => word.length === 1) : undefined;
    options[name] = { type: def.type === 'boolean' ? 'boolean' : 'string', ...(alias && { short: alias }) };
  }
  let parsed: { values: Record<string, unknown>; positionals: string[] };
  try {
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true, allowNegative: true, strict: true });
  } catch (error) {
    throw usageError(explain(verb, error as NodeJS.ErrnoException, Object.keys(options)));
  }
  for (const [name, def] of named) {
    const value = parsed.values[name];
    if (def.type === 'enum' && value !== undefined && !def.options?.includes(String(value)))
      throw invalidOption(`--${name}`, `one of ${def.options?.join(', ')}`, value);
    if (value === undefined && 'default' in def && def.default !== undefined) parsed.values[name] = def.default;
  }
  return parsed;
}

function explain(verb: string, error: NodeJS.ErrnoException, names: readonly string[]): string {
  const flag = /--?[\w-]+/.exec(error.message)?.[0] ?? '';
  if (error.code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION') return `${error.message.split('. ')[0]}.`;
  const near = closestName(flag.replace(/^-+/, ''), names);
  return `${flag} is not a flag of elfin ${verb}: ${near ? `did you mean --${near}?` : `see elfin ${verb} --help.`}`;
}

/** A number flag within a range. Errors: OPTION_INVALID. */
export function numberFlag(
  name: string,
  value: string | undefined,
  { min, max, integer = false }: { min: number; max: number; integer?: boolean },
): number | undefined {
  if (value === undefined) return undefined;
  const number = value.trim() === '' ? Number.NaN : Number(value);
  if (!Number.isFinite(number) || number < min || number > max || (integer && !Number.isInteger(number)))
    throw invalidOption(`--${name}`, `${integer ? 'a whole number' : 'a number'} from ${min} to ${max}`, value);
  return number;
}

/** An option under its name where a flag gave it, nothing where none did, so that the default stays the callee's. */
export function given<K extends string, V>(name: K, value: V | undefined): { readonly [key in K]?: V } {
  return (value === undefined ? {} : { [name]: value }) as { [key in K]?: V };
}
