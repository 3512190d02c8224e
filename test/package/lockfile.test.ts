import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './imports.ts';

/** Named by its package for systems that it was not published for at that version; npm leaves those out by itself. */
const UNPUBLISHED = /^@bufbuild\/buf-/;

interface Locked {
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

test('the lockfile names every platform’s optional packages, or npm ci fails and other systems get none', () => {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Readonly<Record<string, Locked>>;
  };
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !UNPUBLISHED.test(name) && !found(path, name))
      .map((name) => `${path} → ${name}`),
  );
  expect(missing).toEqual([]);

  /** As Node looks for a package: in the folder itself, then upwards. */
  function found(path: string, name: string): boolean {
    for (let at = path; ; at = at.slice(0, at.lastIndexOf('/node_modules/'))) {
      if (`${at === '' ? '' : `${at}/`}node_modules/${name}` in packages) return true;
      if (at.lastIndexOf('/node_modules/') < 0) return `node_modules/${name}` in packages;
    }
  }
});
