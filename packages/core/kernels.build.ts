import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import asc from 'assemblyscript/asc';

const WASM = join(import.meta.dirname, 'src/runtime/wasm');
const FEATURES = { relaxed: ['simd', 'relaxed-simd'], simd: ['simd'] } as const;

/** The kernels' two modules, compiled from `src/runtime/wasm/kernels`. */
export async function compileKernels(): Promise<Record<keyof typeof FEATURES, Uint8Array>> {
  const compiled = Object.entries(FEATURES).map(async ([name, features]) => [name, await compile(features)] as const);
  return Object.fromEntries(await Promise.all(compiled)) as Record<keyof typeof FEATURES, Uint8Array>;
}

async function compile(features: readonly string[]): Promise<Uint8Array> {
  let wasm: Uint8Array | undefined;
  const enable = features.flatMap((feature) => ['--enable', feature]);
  const settings = ['-O3', '--noAssert', '--runtime', 'stub', '--importMemory', '--outFile', 'kernels.wasm'];
  const { error, stderr } = await asc.main(['kernels/index.ts', ...settings, ...enable], {
    // The compiler appends an ending of its own to what the sources, as all of ours, spell with it.
    readFile: (name) => readFile(join(WASM, name.replace(/(\.ts)+$/, '.ts')), 'utf8').catch(() => null),
    writeFile(_, contents) {
      wasm = contents as Uint8Array;
    },
    listFiles: () => [],
  });
  if (error || !wasm) throw new Error(`The kernels do not compile.\n${stderr.toString()}`, { cause: error });
  return wasm;
}

/** `kernels.ts` as it is committed: what runs from source, in a bundle or in a page needs no compiler. */
export async function writtenKernels(): Promise<string> {
  const lines = Object.entries(await compileKernels()).map(
    ([name, wasm]) => `export const ${name} =\n  '${Buffer.from(wasm).toString('base64')}';\n`,
  );
  return `// Made by kernels.build.ts from kernels/*.ts; a test compiles them anew and compares.\n\n${lines.join('')}`;
}

if (import.meta.main) await writeFile(join(WASM, 'kernels.generated.ts'), await writtenKernels());
