import { ElfinError } from '../../base/errors.ts';
import type { Lowered } from './lower.ts';
import type { Machine } from './machine.ts';
import { type Plane, type RowOperation, type Rows, type Sizes, sideOf } from './operation.ts';
import { type Pass, toPasses } from './passes.ts';

/** A plane's rows, all of them or a ring, before they have an address. */
interface Store {
  readonly rows: number;
  readonly bytes: number;
  readonly edged: boolean;
  /** First and last pass that use it. */
  readonly from: number;
  readonly to: number;
  /** From the start of the scratch memory. */
  offset: number;
}

/** How a graph is run on images of one size. */
export interface Plan {
  /** Of scratch memory. */
  readonly bytes: number;
  /** Where the rows of a border's picture are. */
  rowsOf(plane: Plane): Rows;
  /** Runs everything between inputs and outputs; throws what `check` throws, between rows. */
  run(check?: () => void): void;
}

/** Plans passes, rings and memory for one size. Errors: OUT_OF_MEMORY. */
export function createPlan({ operations, inputs, outputs }: Lowered, machine: Machine, sizes: Sizes): Plan {
  checkSides(operations, sizes);
  const { passes, before } = toPasses(operations, sizes);
  const delays = passes.map(delaysOf);
  const planes = (borders: Lowered['inputs']) => borders.flatMap(({ held }) => ('plane' in held ? [held.plane] : []));
  const stores = layOut(passes, delays, planes(inputs), planes(outputs), sizes);
  const zeros = Math.max(0, ...[...stores.keys()].map((plane) => rowBytes(plane, sizes)));
  const bytes = arrange([...stores.values()]) + zeros;
  const base = machine.scratch(bytes);
  const zeroRow = base + bytes - zeros;
  const rowsOf = (plane: Plane) => place(plane, stores.get(plane)!, base, zeroRow, sizes);
  const clearEdges = (plane: Plane) => {
    const store = stores.get(plane)!;
    const row = rowBytes(plane, sizes) / 4;
    const floats = machine.floats();
    for (let r = 0, at = (base + store.offset) / 4; r < store.rows; r++, at += row) {
      floats.fill(0, at, at + plane.stride / 4);
      floats.fill(0, at + row - plane.stride / 4, at + row);
    }
  };
  const steps = passes.map((pass, i) => bindPass(pass, delays[i]!, rowsOf, sizes));
  return {
    bytes,
    rowsOf,
    run(check) {
      const floats = machine.floats();
      floats.fill(0, zeroRow / 4, (zeroRow + zeros) / 4);
      for (const plane of planes(inputs)) if (stores.get(plane)?.edged) clearEdges(plane);
      for (const operation of before) operation.run(sizes);
      passes.forEach(({ rows, after }, i) => {
        for (const { sums, writes, prepare, grid } of rows) {
          if (sums) floats.fill(0, sums.address / 4, sums.address / 4 + sumsLength(sums.shape, grid));
          if (writes && stores.get(writes)!.edged) clearEdges(writes);
          prepare?.();
        }
        steps[i]!(check);
        for (const operation of after) operation.run(sizes);
      });
    },
  };
}

/** The graph divides sides and relies on it that nothing remains. */
function checkSides(operations: Lowered['operations'], sizes: Sizes): void {
  const dims = operations.flatMap((operation) =>
    operation.kind === 'rows' ? [operation.grid.height, operation.grid.width] : [],
  );
  if (dims.every((dim) => Number.isInteger(sideOf(dim, sizes)))) return;
  const divisor = Math.max(...dims.map((dim) => (typeof dim === 'number' ? 1 : dim.denominator)));
  throw new ElfinError(
    'OPTION_INVALID',
    `The input image of ${sizes.W}×${sizes.H} does not fit the graph: pad its sides to multiples of ${divisor}.`,
  );
}

/** Sums a channel fill whole vectors. */
const sumsLength = (shape: readonly number[], { stride }: Plane) =>
  Math.max(
    shape.reduce((a, b) => a * b, 1),
    stride / 4,
  );

const rowBytes = ({ width, stride }: Plane, sizes: Sizes) => (sideOf(width, sizes) + 2) * stride;

/** By how many rows each operation of a pass stays behind the first. */
function delaysOf({ rows }: Pass): ReadonlyMap<RowOperation, number> {
  const delays = new Map<RowOperation, number>();
  const maker = new Map<Plane, RowOperation>();
  const readers = new Map<RowOperation, { reader: RowOperation; reach: number }[]>();
  for (const operation of rows) {
    let delay = 0;
    for (const { plane, reach } of operation.reads) {
      const made = maker.get(plane);
      if (!made || reach === 'all') continue;
      delay = Math.max(delay, delays.get(made)! + reach);
      readers.set(made, [...(readers.get(made) ?? []), { reader: operation, reach }]);
    }
    delays.set(operation, delay);
    if (operation.writes) maker.set(operation.writes, operation);
  }
  // What reads nothing of this pass is made no earlier than it is needed: its ring is the shorter.
  for (const operation of rows) {
    const needed = readers.get(operation);
    if (!needed || operation.reads.some(({ plane }) => maker.has(plane))) continue;
    delays.set(operation, Math.min(...needed.map(({ reader, reach }) => delays.get(reader)! - reach)));
  }
  return delays;
}

/** How many rows of each plane are kept, and how long. */
function layOut(
  passes: readonly Pass[],
  delays: readonly ReadonlyMap<RowOperation, number>[],
  inputs: readonly Plane[],
  outputs: readonly Plane[],
  sizes: Sizes,
): Map<Plane, Store> {
  const stores = new Map<Plane, Store>();
  const made = new Map<Plane, { pass: number; delay: number }>(inputs.map((plane) => [plane, { pass: -1, delay: 0 }]));
  const uses = new Map<Plane, { pass: number; rows: number; edged: boolean }[]>();
  passes.forEach(({ rows }, pass) => {
    for (const operation of rows) {
      const delay = delays[pass]!.get(operation)!;
      if (operation.writes) made.set(operation.writes, { pass, delay });
      for (const { plane, reach, padded = false } of operation.reads) {
        const from = made.get(plane)!;
        const ring = reach !== 'all' && from.pass === pass;
        const use = { pass, rows: ring ? delay - from.delay + reach + 1 : Infinity, edged: padded || reach === 1 };
        uses.set(plane, [...(uses.get(plane) ?? []), use]);
      }
    }
  });
  for (const [plane, { pass }] of made) {
    const of = uses.get(plane) ?? [];
    const out = outputs.includes(plane);
    const height = sideOf(plane.height, sizes);
    const rows = Math.min(height, out ? height : Math.max(1, ...of.map(({ rows }) => rows)));
    stores.set(plane, {
      rows,
      bytes: rows * rowBytes(plane, sizes),
      edged: of.some(({ edged }) => edged),
      from: pass,
      to: out ? passes.length : Math.max(pass, ...of.map(({ pass }) => pass)),
      offset: 0,
    });
  }
  return stores;
}

/** Gives every store a place; those whose passes do not overlap may share. Large ones first. Gives the bytes of all. */
function arrange(stores: readonly Store[]): number {
  const placed: Store[] = [];
  for (const store of stores.toSorted((a, b) => b.bytes - a.bytes)) {
    const others = placed
      .filter(({ from, to }) => from <= store.to && store.from <= to)
      .toSorted((a, b) => a.offset - b.offset);
    let offset = 0;
    for (const other of others) {
      if (offset + store.bytes <= other.offset) break;
      offset = Math.max(offset, other.offset + other.bytes);
    }
    store.offset = offset;
    placed.push(store);
  }
  return Math.max(0, ...placed.map(({ offset, bytes }) => offset + bytes));
}

function place(plane: Plane, store: Store, base: number, zeroRow: number, sizes: Sizes): Rows {
  const row = rowBytes(plane, sizes);
  const [height, first] = [sideOf(plane.height, sizes), base + store.offset];
  const { rows } = store;
  return {
    width: sideOf(plane.width, sizes),
    height,
    stride: plane.stride,
    at: rows === height ? (y) => first + y * row + plane.stride : (y) => first + (y % rows) * row + plane.stride,
    edge: (y) => (y < 0 || y >= height ? zeroRow : first + (y % rows) * row),
  };
}

/** All of a pass: every step does one row of each operation. */
function bindPass(
  { rows }: Pass,
  delays: ReadonlyMap<RowOperation, number>,
  rowsOf: (plane: Plane) => Rows,
  sizes: Sizes,
): (check?: () => void) => void {
  const works = rows.map((operation) => ({
    work: operation.bind(
      operation.reads.map(({ plane }) => rowsOf(plane)),
      rowsOf(operation.writes ?? operation.reads[0]!.plane),
    ),
    delay: delays.get(operation)!,
  }));
  const height = rows[0] ? sideOf(rows[0].grid.height, sizes) : 0;
  const steps = height + Math.max(0, ...works.map(({ delay }) => delay));
  return (check) => {
    for (let step = 0; step < steps; step++) {
      check?.();
      for (const { work, delay } of works) {
        const y = step - delay;
        if (y >= 0 && y < height) work(y);
      }
    }
  };
}
