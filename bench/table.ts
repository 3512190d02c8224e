import { readFile, writeFile } from 'node:fs/promises';

/** Rows of cells as Markdown, columns aligned; the first row is the head. */
export function markdownTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, i) => Math.max(3, ...rows.map((row) => row[i]!.length)));
  const line = (row: readonly string[]) => `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |\n`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |\n`;
  return line(rows[0]!) + rule + rows.slice(1).map(line).join('');
}

/** Replaces what stands in a file between `<!-- name -->` and `<!-- /name -->`. */
export async function replaceSection(path: string, name: string, content: string): Promise<void> {
  const text = await readFile(path, 'utf8');
  const [open, close] = [`<!-- ${name} -->\n`, `\n<!-- /${name} -->`];
  const [start, end] = [text.indexOf(open), text.indexOf(close)];
  if (start < 0 || end < start) throw new Error(`${path} has no section ${name}.`);
  await writeFile(path, `${text.slice(0, start + open.length)}\n${content.trimEnd()}\n${text.slice(end)}`);
}
