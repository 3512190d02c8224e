import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { minVersion, satisfies } from 'semver';
import { expect, test } from 'vitest';
import { ROOT } from './imports.ts';

interface Manifest {
  readonly engines?: { readonly node?: string };
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

const read = (path: string): Manifest => JSON.parse(readFileSync(join(ROOT, path, 'package.json'), 'utf8'));
const names = readdirSync(join(ROOT, 'packages'));
const floor = String(minVersion(read('.').engines!.node!));

test('one Node floor: every package’s and README’s', () => {
  for (const name of names) expect([name, read(`packages/${name}`).engines]).toEqual([name, read('.').engines]);
  const said = `Node ≥ ${floor.replace(/\.0$/, '')}`;
  for (const page of ['README.md', 'CONTRIBUTING.md']) expect(readFileSync(join(ROOT, page), 'utf8')).toContain(said);
});

test('every library that an installed package brings along runs on the floor', () => {
  const { packages: locked } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Readonly<Record<string, Manifest & { readonly version: string }>>;
  };
  const seen = new Set<string>();
  const visit = (at: string, { dependencies = {}, peerDependencies = {} }: Manifest) => {
    for (const name of Object.keys({ ...dependencies, ...peerDependencies })) {
      const path = resolved(at, name);
      if (!path || seen.has(path)) continue;
      seen.add(path);
      visit(path, locked[path]!);
    }
  };
  for (const name of names) visit(`packages/${name}`, read(`packages/${name}`));
  const above = [...seen].filter((path) => !satisfies(floor, locked[path]!.engines?.node ?? '*'));
  expect(above).toEqual([]);
  expect(seen.size).toBeGreaterThan(40);

  /** As Node looks for a package: in the folder itself, then upwards. */
  function resolved(from: string, name: string): string | undefined {
    for (let at = from; ; at = at.includes('/node_modules/') ? at.slice(0, at.lastIndexOf('/node_modules/')) : '') {
      const path = `${at && `${at}/`}node_modules/${name}`;
      if (path in locked) return path;
      if (!at) return undefined;
    }
  }
});

test('npm knows every setting of .npmrc', () => {
  const asked = spawnSync('npm config list --loglevel=warn', { cwd: ROOT, shell: true, encoding: 'utf8' });
  expect(asked.status).toBe(0);
  // What a machine's own settings are is their owner's business.
  expect(asked.stderr.split('\n').filter((line) => line.includes('project config'))).toEqual([]);
});
