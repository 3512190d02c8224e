// Answers of S3 are flat and machine-made, keys are percent-encoded on request: nothing else of XML occurs in them.

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

const decodeEntities = (text: string) =>
  text.replace(
    /&(?:(amp|lt|gt|quot|apos)|#(\d+)|#x([0-9a-f]+));/gi,
    (_, name?: string, decimal?: string, hex?: string) =>
      name
        ? ENTITIES[name.toLowerCase()]!
        : String.fromCodePoint(decimal ? Number(decimal) : Number.parseInt(hex!, 16)),
  );

/** One element's text; undefined where it is not there. */
export function element(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return text === undefined ? undefined : decodeEntities(text);
}

/** The insides of every element of a name. */
export const elements = (xml: string, name: string): readonly string[] =>
  [...xml.matchAll(new RegExp(`<${name}>(.*?)</${name}>`, 'gs'))].map(([, inside = '']) => inside);
