/**
 * What a bundler has put into a `data:` address, which a Content Security Policy may keep from being fetched; undefined for any
 * other address.
 */
export function readDataUrl(url: string | URL): Uint8Array | undefined {
  const [, base64, text] = /^data:[^,]*?(;base64)?,(.*)$/s.exec(String(url)) ?? [];
  if (text === undefined) return undefined;
  const plain = decodeURIComponent(text);
  return base64 ? Uint8Array.from(atob(plain), (letter) => letter.charCodeAt(0)) : new TextEncoder().encode(plain);
}
