import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodeWords, encodeWords } from './encoded-words.ts';

it('leaves ASCII as it is', () => {
  for (const text of ['', 'a photo; f/2.8 = "open"', 'what? = why?']) expect(encodeWords(text)).toBe(text);
});

it('writes everything else as words of at most 75 characters, and reads it back', () => {
  const long = 'Süd, Größe, 写真と雨 🌧️ '.repeat(20);
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'grapheme' }), fc.constant(long), fc.constant('=?x?q?y?=')), (text) => {
      const written = encodeWords(text);
      expect(written).toMatch(/^[ -~]*$/);
      expect(decodeWords(written)).toBe(text);
      if (written !== text) expect(written.split(' ').every((word) => word.length <= 75)).toBe(true);
    }),
  );
});

it.each([
  ['raw UTF-8, read as latin1', Buffer.from('Süd').toString('latin1'), 'Süd'],
  ['latin1 that is no UTF-8', 'S\u00fcd', 'Süd'],
  ['base64', '=?UTF-8?B?U8O8ZA==?=', 'Süd'],
  ['quoted printable', 'im =?utf-8?q?S=C3=BCd_en?= !', 'im Süd en !'],
  ['a charset with its language', '=?iso-8859-1*de?Q?S=FCd?=', 'Süd'],
  ['a character cut in two', '=?utf-8?q?S=C3?= =?utf-8?q?=BCd?=', 'Süd'],
  ['words of two charsets', '=?utf-8?q?S=C3=BC?= =?iso-8859-1?q?=FCd?=', 'Süüd'],
  ['an unknown charset', '=?klingon?q?x?=', '=?klingon?q?x?='],
  ['what only looks so', '=?utf-8?b?%%%?=', '=?utf-8?b?%%%?='],
])('reads %s', (_, header, meant) => {
  expect(decodeWords(header)).toBe(meant);
});
