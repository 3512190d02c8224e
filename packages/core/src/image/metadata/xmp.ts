import { decodeText } from './exif.ts';
import type { Rights } from './rights.ts';

const NAMESPACES = {
  dc: 'http://purl.org/dc/elements/1.1/',
  photoshop: 'http://ns.adobe.com/photoshop/1.0/',
  xmpRights: 'http://ns.adobe.com/xap/1.0/rights/',
  cc: 'http://creativecommons.org/ns#',
  tiff: 'http://ns.adobe.com/tiff/1.0/',
} as const;

/** Where each right stands: prefix, name, and the RDF container that XMP prescribes for it. */
const PROPERTIES = {
  creator: ['dc', 'creator', 'Seq'],
  notice: ['dc', 'rights', 'Alt'],
  credit: ['photoshop', 'Credit', undefined],
  owner: ['xmpRights', 'Owner', 'Bag'],
  usageTerms: ['xmpRights', 'UsageTerms', 'Alt'],
  webStatement: ['xmpRights', 'WebStatement', undefined],
  license: ['cc', 'license', undefined],
} as const satisfies Record<keyof Rights, readonly [keyof typeof NAMESPACES, string, string | undefined]>;

/** No sane packet of rights is larger; larger ones are not searched. */
const MOST = 512 * 1024;
/** Nor does one bind a namespace to more prefixes: the packet is searched once for each. */
const MOST_PREFIXES = 8;

/**
 * Rights out of an XMP packet. Only text is taken and later written into a packet of our own, so that nothing else of
 * the source's XML ever passes.
 */
export function readXmpRights(packet: Uint8Array): Rights {
  if (packet.length > MOST) return {};
  const xml = decodeText(packet);
  const found: Rights = {};
  for (const [key, [space, name]] of Object.entries(PROPERTIES) as [
    keyof Rights,
    (typeof PROPERTIES)[keyof Rights],
  ][]) {
    for (const prefix of prefixes(xml, NAMESPACES[space])) {
      const text = property(xml, `${prefix}:${name}`);
      if (!text) continue;
      found[key] = text;
      break;
    }
  }
  return found;
}

/** A packet with these rights; nothing when there are none. */
export function writeXmpRights(rights: Rights): Uint8Array | undefined {
  const lines = (Object.entries(PROPERTIES) as [keyof Rights, (typeof PROPERTIES)[keyof Rights]][]).flatMap(
    ([key, [space, name, container]]) => {
      const text = rights[key];
      if (!text) return [];
      const language = container === 'Alt' ? ' xml:lang="x-default"' : '';
      const value = container
        ? `<rdf:${container}><rdf:li${language}>${escapeXml(text)}</rdf:li></rdf:${container}>`
        : escapeXml(text);
      return [`<${space}:${name}>${value}</${space}:${name}>`];
    },
  );
  if (lines.length === 0) return undefined;
  const declared = Object.entries(NAMESPACES)
    .filter(([space]) => lines.some((line) => line.startsWith(`<${space}:`)))
    .map(([space, uri]) => ` xmlns:${space}="${uri}"`);
  return new TextEncoder().encode(
    [
      '<?xpacket begin="\uFEFF" id="W5M0MpCehiHzreSzNTczkc9d"?>',
      '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">',
      `<rdf:Description rdf:about=""${declared.join('')}>`,
      ...lines,
      '</rdf:Description></rdf:RDF></x:xmpmeta>',
      '<?xpacket end="w"?>',
    ].join('\n'),
  );
}

const GOOGLE = 'http://ns.google.com/photos/1.0/';
/** Properties that are no longer true of restored pixels in a file of their own, by namespace: names, or their beginnings. */
const OUTDATED: readonly (readonly [string, string])[] = [
  // Pixels are upright now.
  [NAMESPACES.tiff, 'Orientation'],
  // A video, a gain map or another picture stood behind the first; parts of the packet itself in further segments.
  [`${GOOGLE}camera/`, 'MotionPhoto\\w*'],
  [`${GOOGLE}camera/`, 'MicroVideo\\w*'],
  [`${GOOGLE}container/`, 'Directory'],
  [`${GOOGLE}depthmap/`, '\\w+'],
  [`${GOOGLE}image/`, '\\w+'],
  [`${GOOGLE}audio/`, '\\w+'],
  ['http://ns.adobe.com/hdr-gain-map/1.0/', '\\w+'],
  ['http://ns.apple.com/HDRGainMap/1.0/', '\\w+'],
  ['http://ns.adobe.com/xmp/note/', 'HasExtendedXMP'],
  // Where a signed history of the picture lies that this is no longer.
  ['http://purl.org/dc/terms/', 'provenance'],
];

/** No honest packet has more elements of one outdated kind. */
const MOST_ELEMENTS = 64;

/**
 * The packet without properties that speak of what the result is not or does not hold: orientation, motion photo, gain map,
 * depth, extended parts, provenance. One that is too large to be searched stays as it is.
 */
export function currentXmp(packet: Uint8Array): Uint8Array {
  if (packet.length > MOST) return packet;
  const xml = decodeText(packet);
  let out = xml;
  for (const [space, name] of OUTDATED) {
    for (const prefix of prefixes(xml, space)) {
      out = out.replace(new RegExp(`\\s${prefix}:${name}\\s*=\\s*(?:"[^"]*"|'[^']*')`, 'g'), '');
      out = withoutElements(out, `${prefix}:${name}`);
    }
  }
  return out === xml ? packet : new TextEncoder().encode(out);
}

/** Elements with everything in them. One that is not closed ends the search: a hostile packet costs linear time. */
function withoutElements(xml: string, name: string): string {
  const open = new RegExp(`<(${name})(?:\\s[^<>]*)?>`, 'g');
  let out = '';
  let at = 0;
  for (let i = 0; i < MOST_ELEMENTS; i++) {
    open.lastIndex = at;
    const found = open.exec(xml);
    if (!found) break;
    const close = `</${found[1]}>`;
    const end = found[0].endsWith('/>') ? open.lastIndex : xml.indexOf(close, open.lastIndex) + close.length;
    if (end < open.lastIndex) break;
    out += xml.slice(at, found.index);
    at = end;
  }
  return out + xml.slice(at);
}

/** The first prefixes that the packet binds to a namespace; letters and digits only, so that they are safe in patterns. */
function prefixes(xml: string, uri: string): string[] {
  const bound = [...xml.matchAll(/xmlns:(\w+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g)];
  const found = new Set(bound.filter(([, , a, b]) => (a ?? b) === uri).map(([, prefix]) => prefix!));
  return [...found].slice(0, MOST_PREFIXES);
}

// Every pattern stops at the next angle bracket or quote: a hostile packet costs linear time.
function property(xml: string, name: string): string | undefined {
  const attribute = new RegExp(`\\s${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)')`).exec(xml);
  if (attribute) return unescapeXml(attribute[1] ?? attribute[2] ?? '').trim();
  const open = new RegExp(`<${name}(\\s[^<>]*)?>`).exec(xml);
  if (!open) return undefined;
  const resource = /\srdf:resource\s*=\s*(?:"([^"]*)"|'([^']*)')/.exec(open[1] ?? '');
  if (resource) return unescapeXml(resource[1] ?? resource[2] ?? '');
  const end = xml.indexOf(`</${name}>`, open.index);
  if (end < 0) return undefined;
  const inner = xml.slice(open.index + open[0].length, end);
  const items = [...inner.matchAll(/<rdf:li[^<>]*>([^<]*)<\/rdf:li>/g)].map(([, text]) => unescapeXml(text!).trim());
  const text = items.length > 0 ? items.filter(Boolean).join('; ') : unescapeXml(inner.replace(/<[^<>]*>/g, '')).trim();
  return text || undefined;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(\w{2,4}));/gi, (whole, hex, decimal, name) => {
    const code = hex ? Number.parseInt(hex, 16) : decimal ? Number(decimal) : undefined;
    if (code !== undefined) return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : '';
    return ENTITIES[name] ?? whole;
  });
}

function escapeXml(text: string): string {
  // Control characters are not allowed in XML at all.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  const clean = text.replace(/[\0-\x08\x0b\x0c\x0e-\x1f]/g, '');
  return clean.replace(/[&<>"]/g, (letter) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[letter]!);
}
