import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './imports.ts';

const read = (path: string) => JSON.parse(readFileSync(join(ROOT, path), 'utf8'));
const names = readdirSync(join(ROOT, 'packages'));

test.each(names)('packages/%s is ready to be published', (name) => {
  const manifest = read(`packages/${name}/package.json`);
  expect(manifest).toMatchObject({
    version: read('packages/core/package.json').version,
    description: expect.stringMatching(/./),
    license: expect.stringMatching(/./),
    publishConfig: { access: 'public', provenance: true },
  });
  expect(manifest.keywords.length).toBeGreaterThan(3);
  expect(read('.changeset/config.json').fixed[0]).toContain(manifest.name);
  // Filled in by the release, which alone knows it.
  expect([manifest.repository, manifest.homepage]).toEqual([undefined, undefined]);
});

test('the release writes where the packages come from into each of them', () => {
  const folder = mkdtempSync(join(tmpdir(), 'elfin-release-'));
  try {
    for (const name of names) {
      mkdirSync(join(folder, 'packages', name), { recursive: true });
      cpSync(join(ROOT, 'packages', name, 'package.json'), join(folder, 'packages', name, 'package.json'));
    }
    const env = { ...process.env, GITHUB_REPOSITORY: 'someone/elfin', GITHUB_SERVER_URL: 'https://example.com' };
    execFileSync(process.execPath, [join(ROOT, '.github/release.mjs')], { cwd: folder, env });
    const { repository, homepage } = JSON.parse(readFileSync(join(folder, 'packages/edge/package.json'), 'utf8'));
    expect(repository).toEqual({
      type: 'git',
      url: 'git+https://example.com/someone/elfin.git',
      directory: 'packages/edge',
    });
    expect(homepage).toBe('https://example.com/someone/elfin#readme');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('workflows run scripts that exist, and the floor is the one that packages name', () => {
  const { scripts, engines } = read('package.json');
  const folder = join(ROOT, '.github/workflows');
  const texts = readdirSync(folder).map((file) => readFileSync(join(folder, file), 'utf8'));
  const run = texts.flatMap((text) => [...text.matchAll(/npm run ([\w:]+)/g)].map(([, script]) => script!));
  expect(run.filter((script) => !(script in scripts))).toEqual([]);
  expect(run.length).toBeGreaterThan(2);
  expect(texts.join('\n')).toContain(`"${engines.node.replace('>=', '')}"`);
});
