import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from './imports.ts';

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const MANUALS = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/*.md', { cwd: ROOT })];

/** `a/{b,c}/d` as `a/b/d` and `a/c/d`. */
function expandBraces(path: string): string[] {
  const [, before, words, after] = /^(.*?)\{([^}]*)\}(.*)$/.exec(path) ?? [];
  if (words === undefined) return [path];
  return words.split(',').flatMap((word) => expandBraces(`${before}${word.trim()}${after}`));
}

describe('what the docs say of the tree', () => {
  test('every path that they name is there', () => {
    const named = MANUALS.flatMap((manual) =>
      [...read(manual).matchAll(/`((?:packages|apps|test|bench|training|docs)\/[\w/.,{}-]*)(?:#\w+)?`/g)].flatMap(
        ([, path]) => expandBraces(path!).map((one) => ({ manual, one })),
      ),
    );
    expect(named.length).toBeGreaterThan(20);
    // What a build leaves is not there before it.
    expect(named.filter(({ one }) => !existsSync(join(ROOT, one)) && !one.includes('/dist'))).toEqual([]);
  });

  test('every step of a way through the house is defined in the file that it is said to be in', () => {
    const steps = [...read('docs/architecture.md').matchAll(/`([\w/.-]+\.ts)#(\w+)`/g)];
    const lost = steps.filter(
      ([, path, name]) =>
        !new RegExp(`(function\\*?|class|const|async|get)\\s+${name}\\b|^\\s+#?${name}\\(`, 'm').test(read(path!)),
    );
    expect(steps.length).toBeGreaterThan(9);
    expect(lost.map(([step]) => step)).toEqual([]);
  });
});
