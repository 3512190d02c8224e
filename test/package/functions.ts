import { parseSync } from 'oxc-parser';
import type { Source } from './imports.ts';

/** One function of a file, with the lines that are its own. */
export interface FunctionLength {
  readonly path: string;
  readonly name: string;
  /** Of its first line, from 1. */
  readonly line: number;
  /** From its head to its end, without the functions that are nested in it. */
  readonly lines: number;
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

const FUNCTIONS = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression']);

/** Every function, method and arrow of a source. */
export function functionsOf({ path, text }: Pick<Source, 'path' | 'text'>): FunctionLength[] {
  const { program } = parseSync(path, text);
  const found: FunctionLength[] = [];
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  const lineAt = (offset: number) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return low + 1;
  };
  /** Answers how many lines the outermost functions below a node take. */
  const walk = (node: Node, name: string): number => {
    const called = nameOf(node) ?? name;
    const inside = childrenOf(node).reduce((sum, child) => sum + walk(child, called), 0);
    if (!FUNCTIONS.has(node.type)) return inside;
    const line = lineAt(node.start);
    const all = lineAt(node.end) - line + 1;
    found.push({ path, name: called, line, lines: all - inside });
    // A function in one line shares that line with what is around it.
    return all > 1 ? all - 1 : 0;
  };
  walk(program as unknown as Node, '');
  return found;
}

function childrenOf(node: Node): Node[] {
  return Object.values(node)
    .flat()
    .filter(
      (value): value is Node => typeof value === 'object' && value !== null && 'type' in value && 'start' in value,
    );
}

/** What a declaration, a property or a variable calls the function that it holds. */
function nameOf({ id, key }: Node): string | undefined {
  const named = (id ?? key) as { readonly name?: string } | null | undefined;
  return named?.name;
}
