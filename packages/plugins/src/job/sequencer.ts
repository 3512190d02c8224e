/**
 * Orders two sequencers of the same key: negative where `a` is older, positive where it is newer, 0 where they are equal.
 * S3 documents it so: hexadecimal, the shorter padded with zeros at its right, then compared as text.
 */
export function compareSequencers(a: string, b: string): number {
  const length = Math.max(a.length, b.length);
  const [left, right] = [a, b].map((text) => text.toLowerCase().padEnd(length, '0')) as [string, string];
  return left < right ? -1 : left > right ? 1 : 0;
}
