import { ascii, type ByteView, concat, latin1, u32be, viewBytes } from '../formats/bytes.ts';
import { type Curve, gammaCurve, isUsable, linearCurve, sampledCurve } from './curves.ts';
import { D50, invert, type Matrix } from './matrix.ts';
import { type ColourSpace, SRGB, spaceOfCicp } from './space.ts';

/** Tags of a profile by signature; [offset, length]. Hostile counts end at the file's end. */
function tagTable(view: ByteView): Map<string, readonly [number, number]> {
  const found = new Map<string, readonly [number, number]>();
  const count = Math.min(view.u32(128), 100);
  for (let i = 0; i < count; i++) {
    const at = 132 + 12 * i;
    found.set(view.text(at, 4), [view.u32(at + 4), view.u32(at + 8)]);
  }
  return found;
}

/** Four letters of an ICC profile's colour space, e.g. `RGB `, `CMYK`, `GRAY`. */
export function profileSpace(icc: Uint8Array | undefined): string | undefined {
  return icc && icc.length > 128 ? latin1(icc.subarray(16, 20)) : undefined;
}

const s15 = (view: ByteView, at: number) => (view.u32(at) | 0) / 65_536;

/** `curv` or `para` (ICC.1:2022, 10.6 and 10.18). */
function readCurve(view: ByteView, at: number): Curve | undefined {
  const type = view.text(at, 4);
  if (type === 'curv') {
    const count = view.u32(at + 8);
    if (count === 0) return linearCurve;
    if (count === 1) return gammaCurve(view.u16(at + 12) / 256);
    view.slice(at + 12, 2 * count);
    return sampledCurve(Array.from({ length: count }, (_, i) => view.u16(at + 12 + 2 * i) / 65_535));
  }
  if (type !== 'para') return undefined;
  const kind = view.u16(at + 8);
  const count = [1, 3, 4, 5, 7][kind];
  if (count === undefined) return undefined;
  const [g = 1, a = 1, b = 0, c = 0, d = 0, e = 0, f = 0] = Array.from({ length: count }, (_, i) =>
    s15(view, at + 12 + 4 * i),
  );
  const power = (x: number) => Math.max(0, a * x + b) ** g;
  if (kind === 0) return (x) => x ** g;
  if (kind === 1) return (x) => (x >= -b / a ? power(x) : 0);
  if (kind === 2) return (x) => (x >= -b / a ? power(x) + c : c);
  if (kind === 3) return (x) => (x >= d ? power(x) : c * x);
  return (x) => (x >= d ? power(x) + e : c * x + f);
}

/** The name that a profile gives itself, of `desc` or `mluc`. */
function description(view: ByteView, at: number): string {
  const type = view.text(at, 4);
  if (type === 'desc') return view.text(at + 12, Math.min(view.u32(at + 8), 100)).replace(/\0.*$/s, '');
  if (type !== 'mluc' || view.u32(at + 8) === 0) return '';
  const bytes = view.slice(at + view.u32(at + 24), Math.min(view.u32(at + 20), 200));
  return new TextDecoder('utf-16be').decode(bytes);
}

const printable = (text: string) => text.replace(/[^\x20-\x7e]/g, '').slice(0, 60);

/** Whether a profile is a sound one made of tables, which only a colour engine such as lcms converts. */
export function hasTables(icc: Uint8Array | undefined): boolean {
  try {
    return icc !== undefined && tagTable(viewBytes(icc, 'ICC profile')).has('A2B0');
  } catch {
    return false;
  }
}

/**
 * The space that a profile describes by curves and primaries, which is what cameras, phones and editors write. Undefined for
 * profiles made of tables (printers, some scanners), for CMYK and for damaged ones.
 */
export function spaceOfIcc(icc: Uint8Array): ColourSpace | undefined {
  try {
    return read(icc);
  } catch {
    return undefined;
  }
}

function read(icc: Uint8Array): ColourSpace | undefined {
  const view = viewBytes(icc, 'ICC profile');
  const tags = tagTable(view);
  const at = (tag: string) => tags.get(tag)?.[0];
  const kind = profileSpace(icc);
  const named = at('desc');
  const name = printable(named === undefined ? '' : description(view, named)) || 'its profile';
  const cicp = at('cicp');
  if (cicp !== undefined && kind === 'RGB ') {
    const codes = { primaries: view.u8(cicp + 8), transfer: view.u8(cicp + 9), matrix: 0, fullRange: true };
    const space = spaceOfCicp(codes);
    if (space) return { ...space, name };
  }
  const curveOf = (tag: string) => {
    const start = at(tag);
    const curve = start === undefined ? undefined : readCurve(view, start);
    return curve && isUsable(curve) ? curve : undefined;
  };
  if (kind === 'GRAY') {
    const curve = curveOf('kTRC');
    return curve && { name, grey: true, curves: [curve, curve, curve], colorants: SRGB.colorants };
  }
  // A table takes precedence over primaries beside it, and primaries of Lab are none.
  if (kind !== 'RGB ' || at('A2B0') !== undefined || view.text(20, 4) !== 'XYZ ') return undefined;
  const curves = ['rTRC', 'gTRC', 'bTRC'].map(curveOf);
  const columns = ['rXYZ', 'gXYZ', 'bXYZ'].map((tag) => {
    const start = at(tag);
    return start === undefined ? undefined : [8, 12, 16].map((offset) => s15(view, start + offset));
  });
  if (curves.includes(undefined) || columns.includes(undefined)) return undefined;
  const colorants = [0, 1, 2].flatMap((row) => columns.map((column) => column![row]!)) as unknown as Matrix;
  if (!invert(colorants)) return undefined;
  return { name, grey: false, curves: curves as unknown as ColourSpace['curves'], colorants };
}

/** Points of a written curve. */
const POINTS = 1024;

/** A profile (version 2) for a space that came without one, for containers that can say it in no other way. */
export function writeProfile(space: ColourSpace): Uint8Array {
  const text = ascii(`${printable(space.name)}\0`);
  const desc = concat(ascii('desc'), u32be(0), u32be(text.length), text, new Uint8Array(12 + 67));
  const tags: [string, Uint8Array][] = [
    ['desc', desc],
    ['cprt', concat(ascii('text'), u32be(0), ascii('CC0\0'))],
    ['wtpt', xyzTag(D50)],
  ];
  if (space.grey) tags.push(['kTRC', curveTag(space.curves[0])]);
  else {
    const m = space.colorants;
    for (const [i, letter] of ['r', 'g', 'b'].entries()) {
      tags.push([`${letter}XYZ`, xyzTag([m[i]!, m[3 + i]!, m[6 + i]!])]);
      tags.push([`${letter}TRC`, curveTag(space.curves[i]!)]);
    }
  }
  let at = 132 + 12 * tags.length;
  const table = [];
  const bodies = [];
  for (const [name, tag] of tags) {
    table.push(ascii(name), u32be(at), u32be(tag.length));
    const padded = concat(tag, new Uint8Array((4 - (tag.length % 4)) % 4));
    bodies.push(padded);
    at += padded.length;
  }
  const header = new Uint8Array(128);
  header.set(u32be(at), 0);
  header.set([2, 0x40, 0, 0], 8);
  header.set(ascii(`mntr${space.grey ? 'GRAY' : 'RGB '}XYZ `), 12);
  header.set([0x07, 0xe8, 0, 1, 0, 1], 24);
  header.set(ascii('acsp'), 36);
  header.set(
    D50.flatMap((value) => [...fixed(value)]),
    68,
  );
  return concat(header, u32be(tags.length), ...table, ...bodies);
}

function fixed(value: number): Uint8Array {
  return u32be(Math.round(value * 65_536));
}

function xyzTag(values: readonly [number, number, number]): Uint8Array {
  return concat(ascii('XYZ '), u32be(0), ...values.map(fixed));
}

function curveTag(curve: Curve): Uint8Array {
  const points = new Uint8Array(2 * POINTS);
  for (let i = 0; i < POINTS; i++) {
    const value = Math.round(Math.min(1, Math.max(0, curve(i / (POINTS - 1)))) * 65_535);
    points.set([value >> 8, value & 255], 2 * i);
  }
  return concat(ascii('curv'), u32be(0), u32be(POINTS), points);
}
