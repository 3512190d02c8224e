import { VARIABLES } from '../src/platform/config.ts';
import { OPTION_NAMES, OPTIONS, type OptionName, type OptionSpec } from '../src/url/options.ts';

function values(spec: OptionSpec): string {
  switch (spec.kind) {
    case 'choice':
      return spec.values.map((value) => `\`${value}\``).join(' ');
    case 'name':
      return 'a configured name';
    case 'integer':
      return [...(spec.words ?? []).map((word) => `\`${word}\``), `${spec.min}–${spec.max}`].join(' ');
    case 'decimal':
      return `${spec.min}–${spec.max}, at most ${spec.decimals} decimals`;
  }
}

const row = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;

/** The table of options in docs/urls.md. */
export function optionsTable(): string {
  const rows = OPTION_NAMES.map((name: OptionName) => {
    const spec: OptionSpec = OPTIONS[name];
    const spelling = spec.alias ? `\`${name}\`, \`${spec.alias}\`` : `\`${name}\``;
    return row([spelling, values(spec), spec.default === undefined ? '' : `\`${spec.default}\``, spec.about, spec.as]);
  });
  return [row(['option', 'values', 'default', 'what it does', 'as in']), row(Array(5).fill('---')), ...rows].join('\n');
}

/** The table of environment variables in docs/deploy.md. */
export function variablesTable(): string {
  const rows = Object.entries(VARIABLES).map(([name, { about, example, otherwise }]) =>
    row([`\`${name}\``, about, `\`${example}\``, otherwise]),
  );
  return [
    row(['variable', 'what it says', 'for example', 'where it is not set']),
    row(Array(4).fill('---')),
    ...rows,
  ].join('\n');
}

/** Puts `content` between `<!-- name -->` and `<!-- /name -->`. Throws where the marks are missing. */
export function fillSection(document: string, name: string, content: string): string {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [from, to] = [document.indexOf(begin), document.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`The document has no section ${name}.`);
  return `${document.slice(0, from + begin.length)}\n\n${content}\n\n${document.slice(to)}`;
}
