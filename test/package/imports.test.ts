import { existsSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { identifiersOnly, importsOf, ROOT, readSources, resolveRelative, type Source, unitOf } from './imports.ts';

const sources = readSources();
const byPath = new Map(sources.map((source) => [source.path, source]));
const shipped = sources.filter(({ path, isTest }) => path.startsWith('packages/') && !isTest);

/** Which of our packages each may import; docs/architecture.md draws it. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  'packages/core': [],
  'packages/models': ['core'],
  'packages/storage': ['core'],
  'packages/edge': ['core', 'storage'],
  'packages/plugins': ['core', 'storage'],
  'packages/cli': ['core', 'storage', 'models', 'edge', 'plugins'],
};
/** Parts of core that compute and do nothing else. */
const PURE = ['graph', 'model', 'weights', 'tiling', 'metrics'].map((folder) => `packages/core/src/${folder}/`);

test('the walker sees imports of every kind, and none in comments', () => {
  const text = [
    "import './side.ts';",
    "import type { A } from './a.ts';",
    "import b, { type C } from './b.ts';",
    "import {\n  d,\n  e,\n} from './d.ts';",
    "export * from './f.ts';",
    "export type { G } from './g.ts';",
    "// import './no.ts';",
    "const h = await import('./h.ts');",
    "type I = typeof import('./i.ts');",
    'export const from = 1;',
  ].join('\n');
  expect(importsOf(text).map(({ specifier, typeOnly }) => (typeOnly ? `${specifier} type` : specifier))).toEqual([
    './a.ts type',
    './b.ts',
    './d.ts',
    './f.ts',
    './g.ts type',
    './side.ts',
    './h.ts',
    './i.ts type',
  ]);
  expect(sources.length).toBeGreaterThan(100);
});

describe('between packages', () => {
  test('only along the arrows', () => {
    const wrong = sources.flatMap(({ path, imports, isTest }) =>
      imports.flatMap(({ specifier }) => {
        const target = /^@elfin\/(\w+)/.exec(specifier)?.[1];
        const allowed = ARROWS[unitOf(path)];
        const own = unitOf(path) === `packages/${target}`;
        return target && allowed && !allowed.includes(target) && !(isTest && own) ? [`${path} → ${specifier}`] : [];
      }),
    );
    expect(wrong).toEqual([]);
  });

  test('only through what a package exports', () => {
    const wrong = sources.flatMap(({ path, imports }) =>
      imports.flatMap(({ specifier }) => {
        const [, name, subpath = ''] = /^@elfin\/(\w+)(\/.*)?$/.exec(specifier) ?? [];
        if (!name) return [];
        return exportsOf(name).some((pattern) => pattern.test(`.${subpath}`)) ? [] : [`${path} → ${specifier}`];
      }),
    );
    expect(wrong).toEqual([]);
  });

  test("never into another one's files", () => {
    const wrong = sources.flatMap(({ path, imports, isTest }) =>
      imports.flatMap(({ specifier }) => {
        if (!specifier.startsWith('.')) return [];
        const target = resolveRelative(path, specifier);
        if (unitOf(target) === unitOf(path)) return [];
        // Tests and benches share helpers; the operators, which are not public, are held against hand-made cases.
        const helped = (isTest || unitOf(path) === 'bench') && target.startsWith('test/');
        const conforms = path.startsWith('test/conformance/') && target.startsWith('packages/core/src/graph/');
        const builds = unitOf(path) === 'test' && (target.endsWith('.build.ts') || target === 'tsup.config.ts');
        const composes = !path.startsWith('packages/') && target.startsWith('apps/');
        return helped || conforms || builds || composes ? [] : [`${path} → ${specifier}`];
      }),
    );
    expect(wrong).toEqual([]);
  });

  test('every library that a package imports is in its package.json', () => {
    const wrong = shipped.flatMap(({ path, imports }) => {
      const { dependencies, peerDependencies, devDependencies } = manifestOf(unitOf(path));
      return imports.flatMap(({ specifier, typeOnly }) => {
        if (specifier.startsWith('.') || isBuiltin(specifier) || specifier.startsWith('cloudflare:')) return [];
        const name = specifier
          .split('/')
          .slice(0, specifier.startsWith('@') ? 2 : 1)
          .join('/');
        const known = { ...dependencies, ...peerDependencies, ...(typeOnly ? devDependencies : {}) };
        return name in known || `@types/${name}` in known ? [] : [`${path} → ${specifier}`];
      });
    });
    expect(wrong).toEqual([]);
  });

  test('every dependency of a package is imported in it, or a peer that another one of them asks for', () => {
    const wrong = Object.keys(ARROWS).flatMap((unit) => {
      const names = Object.keys(manifestOf(unit).dependencies ?? {});
      const imported = shipped.filter(({ path }) => unitOf(path) === unit).flatMap(({ imports }) => imports);
      const peers = new Set(names.flatMap((name) => Object.keys(installed(unit, name).peerDependencies ?? {})));
      const used = (name: string) => imported.some(({ specifier }) => `${specifier}/`.startsWith(`${name}/`));
      return names.flatMap((name) => (used(name) || peers.has(name) ? [] : [`${unit}: ${name}`]));
    });
    expect(wrong).toEqual([]);
  });

  test('no circles among the files of a package', () => {
    const circles = new Set<string>();
    const done = new Set<string>();
    const walk = (path: string, trail: readonly string[]) => {
      const at = trail.indexOf(path);
      if (at >= 0) circles.add([...trail.slice(at), path].join(' → '));
      if (at >= 0 || done.has(path)) return;
      for (const next of leadsTo(path)) walk(next, [...trail, path]);
      done.add(path);
    };
    for (const { path } of shipped) walk(path, []);
    expect([...circles]).toEqual([]);
  });
});

describe('what computes does nothing else', () => {
  const pure = shipped.filter(
    ({ path, isGenerated }) => PURE.some((folder) => path.startsWith(folder)) && !isGenerated,
  );

  test('neither it nor anything that it loads imports Node', () => {
    const wrong = pure.flatMap(({ path }) =>
      [...closure(path)].flatMap((loaded) =>
        runtimeImports(byPath.get(loaded)!)
          .filter((specifier) => isBuiltin(specifier))
          .map((specifier) => `${path} → … → ${loaded} → ${specifier}`),
      ),
    );
    expect(pure.length).toBeGreaterThan(30);
    expect(wrong).toEqual([]);
  });

  test('it touches no global that does input or output, and keeps none of its own', () => {
    const effects =
      /\b(process|Buffer|require|fetch|XMLHttpRequest|WebSocket|document|navigator|localStorage|indexedDB|caches|console|globalThis|setTimeout|setInterval|setImmediate|queueMicrotask|Deno|Bun|performance|crypto)\b(?!\s*[:?]|')/;
    const wrong = pure.flatMap(({ path, text }) =>
      identifiersOnly(text)
        .split('\n')
        .flatMap((line, i) => {
          const found = effects.exec(line);
          const effect = found && !/[.\w]$/.test(line.slice(0, found.index));
          const mutable =
            /^(export )?(let|var) /.test(line) || /^(export )?const \w+.*= new (Map|Set|WeakMap)\(\)/.test(line);
          return effect || mutable ? [`${path}:${i + 1}: ${line.trim()}`] : [];
        }),
    );
    expect(wrong).toEqual([]);
  });

  test('it imports nothing of runtimes, codecs or the facade but their types', () => {
    const wrong = pure.flatMap(({ path }) =>
      [...leadsTo(path)]
        .filter((target) => /core\/src\/(runtime|image\/codecs|restore|restorer|entries|web|classify)/.test(target))
        .map((target) => `${path} → ${target}`),
    );
    expect(wrong).toEqual([]);
  });
});

test.each(['index', 'entries/web', 'entries/remote', 'metrics/index', 'weights/index', 'tiling/index'])(
  'core/src/%s.ts loads nothing of Node, and no optional peer',
  (entry) => {
    const path = `packages/core/src/${entry}.ts`;
    const peers = Object.keys(manifestOf('packages/core').peerDependencies ?? {});
    const wrong = [...closure(path)].flatMap((loaded) =>
      staticImports(byPath.get(loaded)!)
        .filter((specifier) => isBuiltin(specifier) || peers.some((peer) => specifier.startsWith(peer)))
        .map((specifier) => `${loaded} → ${specifier}`),
    );
    expect(closure(path).size).toBeGreaterThan(1);
    expect(wrong).toEqual([]);
  },
);

/** Files that a file loads when it is run: relative imports that are more than types. */
function leadsTo(path: string): readonly string[] {
  return runtimeImports(byPath.get(path)!)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => resolveRelative(path, specifier))
    .filter((target) => {
      if (!byPath.has(target)) expect(existsSync(join(ROOT, target)), `${path} imports ${target}`).toBe(true);
      return byPath.has(target);
    });
}

function runtimeImports(source: Source): readonly string[] {
  return source.imports.filter(({ typeOnly }) => !typeOnly).map(({ specifier }) => specifier);
}

/** What is loaded at once, without what waits behind `import()`. */
function staticImports(source: Source): readonly string[] {
  return runtimeImports({ ...source, imports: importsOf(source.text.replaceAll(/\bimport\(/g, 'later(')) });
}

function closure(path: string): ReadonlySet<string> {
  const seen = new Set<string>();
  const visit = (at: string) => {
    if (seen.has(at)) return;
    seen.add(at);
    for (const next of leadsTo(at)) visit(next);
  };
  visit(path);
  return seen;
}

interface PackageJson {
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** npm puts some of a package's dependencies into a folder of its own. */
function installed(unit: string, name: string): PackageJson {
  const own = `${unit}/node_modules/${name}`;
  return manifestOf(existsSync(join(ROOT, own)) ? own : `node_modules/${name}`);
}

function manifestOf(unit: string): PackageJson {
  return JSON.parse(readFileSync(join(ROOT, unit, 'package.json'), 'utf8'));
}

/** What a package lets in, its patterns included. */
function exportsOf(name: string): readonly RegExp[] {
  return Object.keys(manifestOf(`packages/${name}`).exports ?? {}).map(
    (key) => new RegExp(`^${key.replaceAll('.', '\\.').replaceAll('*', '.+')}$`),
  );
}
