/** Rows as aligned columns, numbers to the right; the first row is the head. Every line ends in a newline. */
export function table(rows: readonly (readonly (string | number)[])[]): string {
  const texts = rows.map((row) => row.map(String));
  const widths = (texts[0] ?? []).map((_, column) => Math.max(...texts.map((row) => row[column]?.length ?? 0)));
  const numeric = widths.map((_, column) =>
    rows.slice(1).every((row) => /^([-+]?[\d.,]+( %)?|∞)$/.test(String(row[column]))),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (numeric[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd();
  return texts.map((row) => `${line(row)}\n`).join('');
}

/** 1536785 as `1,536,785`. */
export function grouped(value: number): string {
  return value.toLocaleString('en-US');
}

/** Multiply-adds as `5.34 G`. */
export function giga(value: number): string {
  return (value / 1e9).toFixed(2);
}
