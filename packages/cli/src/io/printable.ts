/**
 * A name as it may stand in a line on a terminal: control characters and what else would move the cursor, colour the text or turn
 * its direction are written out (`\x1b`), so that a file's name can say nothing in the terminal's own language.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, (found) => {
    const code = found.codePointAt(0) ?? 0;
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}
