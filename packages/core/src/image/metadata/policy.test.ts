import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readImage } from '../../../../../test/fixtures/images/read.ts';
import type { Metadata } from '../codec.ts';
import { jpeg } from '../formats/jpeg.ts';
import { applyPolicy } from './policy.ts';
import { readRights, writeRights } from './rights.ts';
import { currentXmp, readXmpRights, writeXmpRights } from './xmp.ts';

const source = jpeg.metadata(readImage('metadata.jpg'));
const latin1 = (...parts: (Uint8Array | undefined)[]) =>
  Buffer.concat(parts.filter((part) => part !== undefined)).toString('latin1');
const packet = (attributes: string, elements = '') =>
  new TextEncoder().encode(
    `<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description ${attributes}>${elements}</rdf:Description></rdf:RDF></x:xmpmeta>`,
  );

it('none passes nothing', () => {
  expect(applyPolicy(source, 'none')).toEqual({});
  expect(applyPolicy(undefined, 'keep')).toEqual({});
});

it('copyright passes rights out of EXIF, XMP and IPTC, and nothing else of them', () => {
  const chosen = applyPolicy(source, 'copyright');
  expect(Object.keys(chosen)).toEqual(['exif', 'xmp']);
  expect(readRights(chosen)).toEqual({
    creator: 'Ada',
    notice: '© 2026 Ada & Co',
    credit: 'Agency',
    webStatement: 'https://example.com/terms?a=1&b=2',
  });
  expect(latin1(chosen.exif, chosen.xmp)).not.toMatch(/[Ss]ecret|GPS|51|Orientation/);
});

it('copyright of IPTC alone becomes EXIF and XMP', () => {
  expect(readRights({ iptc: source.iptc! })).toEqual({
    creator: 'Ada Byline',
    credit: 'Agency',
    notice: 'IPTC notice',
  });
  expect(latin1(applyPolicy({ iptc: source.iptc! }, 'copyright').exif)).toContain('IPTC notice');
});

it('keep passes everything but the orientation', () => {
  const kept = applyPolicy(source, 'keep');
  expect(Object.keys(kept).sort()).toEqual(['exif', 'iptc', 'xmp']);
  expect(latin1(kept.exif, kept.xmp, kept.iptc)).toMatch(/Secretcam.*51,30\.0N.*Secretville/s);
  expect(latin1(kept.xmp)).not.toContain('Orientation');
});

describe('XMP', () => {
  it('knows prefixes by their namespaces, attributes, elements, lists and resources', () => {
    const read = (attributes: string, elements?: string) => readXmpRights(packet(attributes, elements));
    expect(read(`xmlns:q='http://ns.adobe.com/xap/1.0/rights/' q:Owner='A &amp; B'`)).toEqual({ owner: 'A & B' });
    expect(
      read(
        'xmlns:d="http://purl.org/dc/elements/1.1/" xmlns:cc="http://creativecommons.org/ns#"',
        '<d:creator><rdf:Seq><rdf:li>One</rdf:li><rdf:li>&#84;wo</rdf:li></rdf:Seq></d:creator><cc:license rdf:resource="https://example.com/by"/>',
      ),
    ).toEqual({ creator: 'One; Two', license: 'https://example.com/by' });
    expect(read('xmlns:dc="https://example.com/other" dc:rights="not ours"')).toEqual({});
  });

  it('drops tiff:Orientation as attribute and as element, and leaves other packets alone', () => {
    const bound = 'xmlns:t="http://ns.adobe.com/tiff/1.0/"';
    expect(latin1(currentXmp(packet(`${bound} t:Orientation="6"`)))).not.toContain('Orientation');
    expect(latin1(currentXmp(packet(bound, '<t:Orientation>6</t:Orientation>')))).not.toContain('Orientation');
    const plain = packet(bound);
    expect(currentXmp(plain)).toBe(plain);
  });

  it('drops what speaks of a motion photo, a gain map and a signed history', () => {
    const photo = jpeg.metadata(
      readFileSync(new URL('../../../../../test/fixtures/fidelity/motionphoto.jpg', import.meta.url)),
    );
    expect(photo.trailer).toBe(true);
    const kept = latin1(currentXmp(photo.xmp!));
    for (const gone of ['MotionPhoto="', 'MicroVideo', 'hdrgm:Version', '<Container:', 'Item:Semantic']) {
      expect(latin1(photo.xmp)).toContain(gone);
      expect(kept).not.toContain(gone);
    }
    expect(kept).toMatch(/<\/rdf:Description><\/rdf:RDF><\/x:xmpmeta>$/);
    const signed = packet('xmlns:d="http://purl.org/dc/terms/" d:provenance="self#jumbf=c2pa"');
    expect(latin1(currentXmp(signed))).not.toContain('jumbf');
  });

  it('costs linear time on elements that are never closed', () => {
    const bound = 'xmlns:g="http://ns.adobe.com/hdr-gain-map/1.0/"';
    for (const piece of ['<g:a>', '<g:a><g:b>', '<g:a ', '<g:a/>']) {
      currentXmp(packet(bound, piece.repeat(400_000 / piece.length)));
    }
  });

  it('writes what it reads back, whatever the text', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).map((value) => value.trim());
    fc.assert(
      fc.property(
        text.filter((value) => value !== '' && !/\p{Cc}|[\ufffe\uffff]/u.test(value)),
        (value) => {
          const rights = { creator: value, notice: value, webStatement: value, owner: value };
          expect(readXmpRights(writeXmpRights(rights)!)).toEqual(rights);
        },
      ),
    );
  });

  it('costs linear time on packets made to be slow', () => {
    const bound = 'xmlns:dc="http://purl.org/dc/elements/1.1/"';
    for (const piece of ['<rdf:li', '<dc:rights ', ' dc:rights="', '<dc:rights><rdf:li ', 'xmlns:a', '<', '&#']) {
      const text = packet(bound, `<dc:rights>${piece.repeat(400_000 / piece.length)}</dc:rights>`);
      expect(Object.keys(readXmpRights(text)).length).toBeLessThanOrEqual(1);
    }
  });

  it('looks for eight prefixes of a namespace at most', () => {
    const names = Array.from({ length: 9_000 }, (_, i) => `p${i}`);
    const bound = names.map((name) => `xmlns:${name}="http://purl.org/dc/elements/1.1/"`).join(' ');
    const read = (name: string) => readXmpRights(packet(bound, `<${name}:creator>Ada</${name}:creator>`));
    expect([read('p0'), read('p7'), read('p8')]).toEqual([{ creator: 'Ada' }, { creator: 'Ada' }, {}]);
    const tiff = names.map((name) => `xmlns:${name}="http://ns.adobe.com/tiff/1.0/"`).join(' ');
    const turned = (name: string) => latin1(currentXmp(packet(`${tiff} ${name}:Orientation="6"`)));
    expect(['p7', 'p8'].map((name) => turned(name).includes('Orientation'))).toEqual([false, true]);
  });

  it('leaves packets alone that are too large to be searched', () => {
    const large = packet(`xmlns:t="http://ns.adobe.com/tiff/1.0/" t:Orientation="6"`, ' '.repeat(512 * 1024));
    expect(currentXmp(large)).toBe(large);
  });
});

it('never throws on damaged metadata', () => {
  const bytes = fc.uint8Array({ maxLength: 120 });
  const damaged = fc.record({
    exif: bytes,
    xmp: bytes,
    iptc: fc.constantFrom(source.iptc!, Uint8Array.of(0x1c, 2, 80, 0xff, 0xff, 65)),
  });
  fc.assert(
    fc.property(damaged, fc.constantFrom('none', 'copyright', 'keep'), (metadata: Metadata, policy) => {
      applyPolicy(metadata, policy as 'keep');
    }),
    { numRuns: 1000 },
  );
  expect(writeRights({})).toEqual({});
});
