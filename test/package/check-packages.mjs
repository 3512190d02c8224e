// Packs every public package as npm would publish it, looks at what is in it, and asks publint and "are the types wrong".
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a package's exports and bins point to; patterns stand for what publint looks at. */
function exportedFiles({ exports = {}, bin = {} }) {
  const targets = [...Object.values(exports), ...Object.values(bin)].flatMap((target) =>
    typeof target === 'string' ? [target] : Object.values(target),
  );
  return targets.filter((target) => !target.includes('*')).map((target) => target.replace(/^\.\//, ''));
}

const root = new URL('../..', import.meta.url).pathname;
const scratch = mkdtempSync(join(tmpdir(), 'elfin-pack-'));
let failures = 0;

try {
  for (const name of readdirSync(join(root, 'packages')).sort()) {
    const folder = join(root, 'packages', name);
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    if (manifest.private) continue;
    const packed = JSON.parse(
      execFileSync('npm', ['pack', '--json', '--silent', '--pack-destination', scratch], {
        cwd: folder,
        encoding: 'utf8',
      }),
    );
    const [entry] = Array.isArray(packed) ? packed : Object.values(packed);
    const tarball = join(scratch, entry.filename);
    const files = new Set(entry.files.map(({ path }) => path));
    const missing = ['LICENSE', 'README.md', ...exportedFiles(manifest)].filter((path) => !files.has(path));
    const tests = [...files].filter((path) => path.endsWith('.test.ts'));
    if (missing.length || tests.length) {
      failures += 1;
      console.log(
        `FAIL ${manifest.name} lacks ${missing.join(', ') || 'nothing'}; needless: ${tests.join(', ') || 'none'}`,
      );
    }
    const checks = [['publint', 'run', tarball, '--strict']];
    // One copy of the code, as ES modules: a CommonJS caller gets them by `require`, which Node allows from 20.19 on. attw's rule
    // about that is older; TypeScript says the same under `module: node16`, and nothing under `nodenext`.
    if (manifest.exports?.['.'])
      checks.push([
        'attw',
        tarball,
        '--profile',
        'node16',
        '--ignore-rules',
        'cjs-resolves-to-esm',
        '--format',
        'ascii',
      ]);
    for (const [command, ...args] of checks) {
      const { status, stdout, stderr } = spawnSync(join(root, 'node_modules/.bin', command), args, {
        encoding: 'utf8',
      });
      console.log(
        `${status === 0 ? 'ok  ' : 'FAIL'} ${manifest.name} ${command} (${Math.round(entry.size / 1024)} kB packed)`,
      );
      if (status !== 0) {
        failures += 1;
        console.log(stdout, stderr);
      }
    }
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
process.exit(failures === 0 ? 0 : 1);
