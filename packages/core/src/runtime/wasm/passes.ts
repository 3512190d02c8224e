import { type Operation, type Plane, type RowOperation, type Sizes, type SmallOperation, sideOf } from './operation.ts';

/** Operations that walk one grid together, row by row, so that what lies between them stays in cache; then what is known of them. */
export interface Pass {
  readonly rows: RowOperation[];
  readonly after: SmallOperation[];
}

/** A pass's rows of intermediate pictures should fit into a core's second cache. */
const RING_BYTES = 1024 * 1024;

/**
 * Assigns operations to passes. One joins the pass that makes a picture it reads on the same grid, if everything else it needs is
 * there before; whatever is summed up over a picture, and rows of another grid, are there only after the whole pass.
 */
export function toPasses(operations: readonly Operation[], sizes: Sizes): { passes: Pass[]; before: SmallOperation[] } {
  const passes: Pass[] = [];
  const before: SmallOperation[] = [];
  const bytes: number[] = [];
  /** The pass that a value is made in; −1 for what is fed. */
  const madeIn = new Map<Plane | number, number>();
  const passOf = (key: Plane | number) => madeIn.get(key) ?? -1;

  const join = (operation: RowOperation): number => {
    const grid = gridOf(operation.grid, sizes);
    const reads = operation.reads.map(({ plane, reach }) => ({
      pass: passOf(plane),
      streams: reach !== 'all' && gridOf(plane, sizes) === grid,
    }));
    const earliest = Math.max(
      0,
      ...reads.map(({ pass, streams }) => (streams ? pass : pass + 1)),
      ...operation.needs.map(({ address }) => passOf(address) + 1),
    );
    const fits = (bytes[earliest] ?? 0) + ringBytes(operation, sizes) <= RING_BYTES;
    const joins = reads.some(({ pass, streams }) => streams && pass === earliest);
    return passes[earliest] && joins && fits ? earliest : passes.length;
  };

  for (const operation of operations) {
    if (operation.kind === 'small') {
      const pass = Math.max(-1, ...operation.reads.map(({ address }) => passOf(address)));
      madeIn.set(operation.writes.address, pass);
      (passes[pass]?.after ?? before).push(operation);
      continue;
    }
    const pass = join(operation);
    passes[pass] ??= { rows: [], after: [] };
    passes[pass].rows.push(operation);
    bytes[pass] = (bytes[pass] ?? 0) + ringBytes(operation, sizes);
    if (operation.writes) madeIn.set(operation.writes, pass);
    if (operation.sums) madeIn.set(operation.sums.address, pass);
  }
  return { passes, before };
}

const gridOf = ({ height, width }: Plane, sizes: Sizes) => `${sideOf(height, sizes)}×${sideOf(width, sizes)}`;

/** About what an operation adds to a pass's rows: three where neighbours are read, and one of its own. */
function ringBytes({ reads, writes, grid }: RowOperation, sizes: Sizes): number {
  const width = sideOf(grid.width, sizes);
  const neighbours = reads.reduce((sum, { plane, reach }) => sum + (reach === 1 ? 2 * plane.stride : 0), 0);
  return width * (neighbours + (writes?.stride ?? 0));
}
