import type { ArgDef, ArgsDef } from 'citty';
import wrapAnsi from 'wrap-ansi';

/** What help is made of. */
export interface HelpPage {
  readonly name: string;
  readonly description: string;
  readonly args: ArgsDef;
  readonly examples: readonly string[];
}

/** Columns of a terminal that nobody widened; wider lines are hard to read. */
const COLUMNS = 80;
const INDENT = 2;
/** Flags that are longer have their description below them. */
const FLAG_COLUMNS = 28;

/** The help of a verb, within 80 columns: what it does, its flags, examples. */
export function renderHelp({ name, description, args, examples }: HelpPage, columns: number = COLUMNS): string {
  const width = Math.min(columns, COLUMNS);
  const named = Object.entries(args).filter(([, def]) => def.type !== 'positional');
  const positional = Object.entries(args).filter(([, def]) => def.type === 'positional');
  const words = positional.map(([word, def]) => (def.required ? `<${word}>` : `[${word}]`)).join(' ');
  const sections = [
    `${wrapAnsi(description, width)}\n`,
    `USAGE  elfin ${name} [flags]${words && ` ${words}`}\n`,
    ...positional.map(([word, def]) => entry(`<${word}>`, def, width)),
    positional.length > 0 ? '' : undefined,
    'FLAGS\n',
    ...named.map(([flag, def]) => entry(spelled(flag, def), def, width)),
    '\nEXAMPLES\n',
    ...examples.map((line) => `  ${wrapAnsi(line, width - 8).replaceAll('\n', ' \\\n      ')}`),
  ];
  return `${sections.filter((section) => section !== undefined).join('\n')}\n`;
}

function spelled(flag: string, def: ArgDef): string {
  const alias = 'alias' in def ? [def.alias ?? []].flat().find((word) => word.length === 1) : undefined;
  const value = def.type === 'boolean' ? '' : ` <${'valueHint' in def && def.valueHint ? def.valueHint : 'word'}>`;
  return `${alias ? `-${alias}, ` : '    '}--${flag}${def.type === 'enum' ? ` <${enumHint(def)}>` : value}`;
}

function enumHint(def: ArgDef): string {
  return 'options' in def ? (def.options ?? []).join('|') : 'word';
}

function entry(left: string, def: ArgDef, width: number): string {
  const standard = 'default' in def && def.default !== undefined ? ` (default: ${String(def.default)})` : '';
  const lines = wrapAnsi(`${def.description ?? ''}${standard}`, width - FLAG_COLUMNS).split('\n');
  const first = ' '.repeat(INDENT) + left;
  const margin = ' '.repeat(FLAG_COLUMNS);
  if (first.length < FLAG_COLUMNS)
    return lines.map((line, at) => (at ? margin : first.padEnd(FLAG_COLUMNS)) + line).join('\n');
  return [first, ...lines.map((line) => margin + line)].join('\n');
}
