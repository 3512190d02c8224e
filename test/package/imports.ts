import { globSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');

/** One import, export-from or dynamic import. */
export interface Import {
  /** As it is written. */
  readonly specifier: string;
  /** Gone after compilation: `import type`, `export type`. */
  readonly typeOnly: boolean;
}

export interface Source {
  /** From the repository's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
  readonly isTest: boolean;
  readonly isGenerated: boolean;
}

/** Every TypeScript file of the repository, built and installed ones excepted. */
export function readSources(): readonly Source[] {
  const folders = ['packages/*/src', 'apps', 'bench', 'test'];
  return folders
    .flatMap((folder) => globSync(`${folder}/**/*.{ts,js,mjs}`, { cwd: ROOT }))
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => !/(^|\/)(node_modules|dist|fixtures|\.wrangler)\//.test(path))
    .map((path) => {
      const text = readFileSync(join(ROOT, path), 'utf8');
      return {
        path,
        text,
        imports: importsOf(text),
        isTest: /\.test\.ts$/.test(path),
        isGenerated: /_pb\.(js|d\.ts)$|worker-configuration\.d\.ts$/.test(basename(path)),
      };
    });
}

// Biome puts every statement on its own line, so that `import` and `export` at a line's start are statements. Braces and
// names, but no quotes and semicolons, stand between them and `from`.
const STATEMENT = /^(?:import|export)\s+(type\s+)?(?:[\w$*][^'"`;=]*?|\{[^}]*\})\s*from\s*'([^']+)'/gm;
const SIDE_EFFECT = /^import\s*'([^']+)'/gm;
const DYNAMIC = /\bimport\(\s*'([^']+)'\s*\)(?=(\.\w+)?)/g;

export function importsOf(text: string): Import[] {
  const code = withoutComments(text);
  const statements = [...code.matchAll(STATEMENT)].map(([, type, specifier]) => ({
    specifier: specifier!,
    typeOnly: type !== undefined,
  }));
  const others = [...code.matchAll(SIDE_EFFECT), ...code.matchAll(DYNAMIC)].map(([match, specifier], _, all) => {
    // `typeof import('x')` and `import('x').Type` are types; a dynamic import is awaited or called.
    const at = all.length > 0 ? code.indexOf(match) : -1;
    const isType = /typeof\s*$/.test(code.slice(Math.max(0, at - 10), at));
    return { specifier: specifier!, typeOnly: match.startsWith('import(') && isType };
  });
  return [...statements, ...others];
}

/** The code with comments blanked; strings and templates are left alone. */
export function withoutComments(text: string): string {
  return text.replaceAll(
    /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (part) => (part.startsWith('/') ? part.replaceAll(/[^\n]/g, ' ') : part),
  );
}

/** The code with comments and the insides of strings blanked, so that only identifiers are left. */
export function identifiersOnly(text: string): string {
  return withoutComments(text).replaceAll(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, "''");
}

/** Where a relative import of a file leads, from the repository's root. */
export function resolveRelative(from: string, specifier: string): string {
  return relative(ROOT, resolve(ROOT, dirname(from), specifier)).replaceAll('\\', '/');
}

/** `packages/core`, `apps/demo`, `bench`, `test`: what a file belongs to. */
export function unitOf(path: string): string {
  const [first, second] = path.split('/');
  return first === 'packages' || first === 'apps' ? `${first}/${second}` : first!;
}
