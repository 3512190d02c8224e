/**
 * User metadata outside ASCII, as S3 has it: RFC 2047's encoded words. The bytes themselves would not come through: Node
 * reads headers as latin1, and a signature is made of UTF-8.
 */

const WORD = /=\?([^?\s*]+)(?:\*[^?\s]*)?\?([bq])\?([^?\s]*)\?=/i;
/** Words with nothing but white space between them are one text (RFC 2047, 6.2). */
const WORDS = new RegExp(`${WORD.source}(?:\\s+${WORD.source})*`, 'gi');
// A word has at most 75 characters, 12 of them `=?UTF-8?B?…?=`: 60 of base64, of 45 bytes.
const MOST_BYTES = 45;

/** A value as it may stand in a header: ASCII as it is, anything else (and what would be taken for words) as words. */
export function encodeWords(text: string): string {
  if (!/[^ -~]/.test(text) && !WORD.test(text)) return text;
  const parts: string[] = [''];
  // Whole characters in each word, as the RFC asks for.
  for (const character of text.toWellFormed()) {
    const longer = parts.at(-1) + character;
    if (utf8(longer).length > MOST_BYTES) parts.push(character);
    else parts[parts.length - 1] = longer;
  }
  return parts.map((part) => `=?UTF-8?B?${btoa(String.fromCharCode(...utf8(part)))}?=`).join(' ');
}

/** A header's value as it was meant: raw UTF-8 that was read as latin1, and encoded words. What is neither stays. */
export const decodeWords = (value: string): string =>
  asUtf8(value).replace(WORDS, (words) => {
    try {
      return textOf(words.split(/\s+/));
    } catch {
      return words;
    }
  });

function asUtf8(value: string): string {
  if (!/[\u0080-\u00ff]/.test(value) || /[^\0-\u00ff]/.test(value)) return value;
  try {
    return decoderOf('utf-8').decode(bytesOf(value));
  } catch {
    return value;
  }
}

/** Bytes of neighbours of one charset are put together first: not every encoder keeps characters whole. */
function textOf(words: readonly string[]): string {
  const runs: { charset: string; bytes: string }[] = [];
  for (const word of words) {
    const [, name = '', kind = '', data = ''] = WORD.exec(word)!;
    const charset = name.toLowerCase();
    const bytes = kind.toLowerCase() === 'b' ? atob(data) : unquoted(data);
    if (runs.at(-1)?.charset === charset) runs.at(-1)!.bytes += bytes;
    else runs.push({ charset, bytes });
  }
  return runs.map(({ charset, bytes }) => decoderOf(charset).decode(bytesOf(bytes))).join('');
}

const unquoted = (data: string) =>
  data
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
const utf8 = (text: string) => new TextEncoder().encode(text);
const bytesOf = (binary: string) => Uint8Array.from(binary, (character) => character.charCodeAt(0));
const decoderOf = (charset: string) => new TextDecoder(charset, { fatal: true, ignoreBOM: true });
