export { seeded } from './seeded-model.ts';

/** Another order, by a generator of numbers from 0 to 1. */
export function shuffle<T>(items: readonly T[], random: () => number): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}

/** Keys that people really use and that servers encode in different ways. */
export function awkwardKeys(count: number): string[] {
  const names = [
    (i: number) => `plain-${i}.jpg`,
    (i: number) => `with space ${i}.jpg`,
    (i: number) => `a+b+${i}.JPG`,
    (i: number) => `ünïcödé-写真-🌧-${i}.jpg`,
    (i: number) => `100%2Fdone-${i}.jpeg`,
    (i: number) => `50% off ${i}.png`,
    (i: number) => `q=a&b;c#d'e(${i})!.webp`,
    (i: number) => `deep/er/and/deep er/${i}.jpg`,
  ];
  return Array.from({ length: count }, (_, i) => `incoming/${names[i % names.length]!(i)}`);
}
/** Works through items, so many at once. */
export async function inLanes<T>(items: readonly T[], lanes: number, work: (item: T) => Promise<void>): Promise<void> {
  const rest = [...items];
  const lane = async () => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}
