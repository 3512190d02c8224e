import type { Metadata } from '../../codec.ts';
import type { Cicp } from '../../colour/space.ts';
import { ascii, type ByteView, concat, corrupt, u32be, viewBytes } from '../../formats/bytes.ts';
import { type Box, boxes, type Item, metaBoxes, readItems } from '../../formats/isobmff.ts';

/**
 * Adds `Exif` and XMP items (ISO/IEC 23008-12, annex A; MIAF) and an ICC `colr`. New items go to the end of the file;
 * `meta` grows, so offsets of what lies behind it move by as much.
 */
export function embedAvif(given: Uint8Array, { exif, xmp, icc, cicp }: Metadata): Uint8Array {
  const bytes = cicp ? withCodePoints(given, cicp) : given;
  const view = viewBytes(bytes, 'AVIF');
  const { meta, children } = metaBoxes(view);
  const find = (type: string) => {
    const box = children.find((child) => child.type === type);
    if (!box) throw corrupt('AVIF', `it has no ${type} box`);
    return box;
  };
  const primary = view.u16(find('pitm').start + 4);
  const items = [
    ...(exif ? [{ info: 'Exif\0', data: concat(u32be(0), exif) }] : []),
    ...(xmp ? [{ info: 'mime\0application/rdf+xml\0', data: xmp }] : []),
  ];
  const last = Math.max(primary, ...itemIds(view, find('iinf')));
  const added = items.map((item, i) => ({ ...item, id: last + 1 + i }));

  const iinf = extend(
    view,
    find('iinf'),
    added.length,
    added.map(({ id, info }) => box('infe', concat(Uint8Array.of(2, 0, 0, 0), u16be(id), u16be(0), ascii(info)))),
  );
  const references = added.map(({ id }) => box('cdsc', concat(u16be(id), u16be(1), u16be(primary))));
  const iref = children.find(({ type }) => type === 'iref');
  const irefBox = iref
    ? box('iref', concat(view.slice(iref.start, iref.end - iref.start), ...references))
    : box('iref', concat(new Uint8Array(4), ...references));
  const iprp = icc ? withProfile(view, find('iprp'), icc) : copy(view, find('iprp'));

  const build = (iloc: Uint8Array) => {
    const rest = children
      .filter(({ type }) => !['iinf', 'iref', 'iprp', 'iloc'].includes(type))
      .map((child) => copy(view, child));
    const references = added.length > 0 || iref ? [irefBox] : [];
    return box('meta', concat(new Uint8Array(4), ...rest, iloc, iinf, ...references, iprp));
  };
  const located = new Map<number, Pick<Item, 'method' | 'extents'>>(readItems(view, children));
  const place = (start: number) => {
    let at = start;
    for (const { id, data } of added) {
      located.set(id, { method: 0, extents: [{ offset: at, length: data.length }] });
      at += data.length;
    }
  };
  // The size of `iloc` does not depend on the offsets in it: build once to learn by how much things move.
  place(0);
  const grown = build(locations(located, 0, meta.end)).length - (meta.end - meta.at);
  // Behind the header of the new `mdat`; `locations` adds what the file grows by.
  place(bytes.length + 8);
  const rebuilt = build(locations(located, grown, meta.end));
  const data = added.length > 0 ? box('mdat', concat(...added.map((item) => item.data))) : new Uint8Array(0);
  return concat(bytes.subarray(0, meta.at), rebuilt, bytes.subarray(meta.end), data);
}

/**
 * The encoder's own `nclx` boxes with the source's primaries and curve: same length, so in place. The matrix stays the encoder's,
 * since it says how the encoder made YCbCr out of RGB.
 */
function withCodePoints(bytes: Uint8Array, { primaries, transfer }: Cicp): Uint8Array {
  const out = bytes.slice();
  const view = viewBytes(out, 'AVIF');
  const { children } = metaBoxes(view);
  const iprp = children.find(({ type }) => type === 'iprp');
  const ipco = iprp && boxes(view, iprp.start, iprp.end).find(({ type }) => type === 'ipco');
  const found = (ipco ? boxes(view, ipco.start, ipco.end) : []).filter(
    ({ type, start }) => type === 'colr' && view.text(start, 4) === 'nclx',
  );
  if (found.length === 0) throw corrupt('AVIF', 'its encoder wrote no colour box');
  for (const { start } of found) out.set([...u16be(primaries), ...u16be(transfer)], start + 4);
  return out;
}

function itemIds(view: ByteView, iinf: Box): number[] {
  if (view.u8(iinf.start) !== 0) throw corrupt('AVIF', 'an item list of an unknown version');
  return boxes(view, iinf.start + 6, iinf.end).map(({ start }) => view.u16(start + 4));
}

function extend(view: ByteView, iinf: Box, count: number, entries: Uint8Array[]): Uint8Array {
  const body = view.slice(iinf.start, iinf.end - iinf.start).slice();
  body.set(u16be(view.u16(iinf.start + 4) + count), 4);
  return box('iinf', concat(body, ...entries));
}

/** `iloc`, version 1 with 4-byte offsets: offsets into the file at or behind `from` move by `shift`. */
function locations(
  items: ReadonlyMap<number, Pick<Item, 'method' | 'extents'>>,
  shift: number,
  from: number,
): Uint8Array {
  const entries = [...items].map(([id, { method, extents }]) =>
    concat(
      u16be(id),
      u16be(method),
      // Data reference 0: this file.
      u16be(0),
      u16be(extents.length),
      ...extents.map(({ offset, length }) =>
        concat(u32be(method === 0 && offset >= from ? offset + shift : offset), u32be(length)),
      ),
    ),
  );
  return box('iloc', concat(Uint8Array.of(1, 0, 0, 0, 0x44, 0), u16be(items.size), ...entries));
}

/** Adds a `colr` property of type `prof` and gives it to every image that is not an auxiliary one such as alpha. */
function withProfile(view: ByteView, iprp: Box, icc: Uint8Array): Uint8Array {
  const inner = boxes(view, iprp.start, iprp.end);
  const ipco = inner.find(({ type }) => type === 'ipco');
  const ipma = inner.find(({ type }) => type === 'ipma');
  if (!ipco || !ipma) throw corrupt('AVIF', 'it has no properties');
  const known = boxes(view, ipco.start, ipco.end);
  const numbers = (wanted: string) => new Set(known.flatMap(({ type }, i) => (type === wanted ? [i + 1] : [])));
  const [sizes, auxiliary] = [numbers('ispe'), numbers('auxC')];
  const index = known.length + 1;
  if (view.u32(ipma.start) !== 0 || index > 127) throw corrupt('AVIF', 'property associations of an unknown layout');
  const parts: Uint8Array[] = [view.slice(ipma.start, 8)];
  let at = ipma.start + 8;
  for (let left = view.u32(ipma.start + 4); left > 0; left--) {
    const count = view.u8(at + 2);
    const list = view.slice(at + 3, count);
    const has = (set: ReadonlySet<number>) => list.some((entry) => set.has(entry & 0x7f));
    const more = has(sizes) && !has(auxiliary) ? [index] : [];
    parts.push(view.slice(at, 2), Uint8Array.of(count + more.length), list, Uint8Array.from(more));
    at += 3 + count;
  }
  const properties = concat(view.slice(ipco.start, ipco.end - ipco.start), box('colr', concat(ascii('prof'), icc)));
  return box('iprp', concat(box('ipco', properties), box('ipma', concat(...parts))));
}

function copy(view: ByteView, { at, end }: Box): Uint8Array {
  return view.slice(at, end - at);
}

function box(type: string, body: Uint8Array): Uint8Array {
  return concat(u32be(body.length + 8), ascii(type), body);
}

function u16be(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value);
}
