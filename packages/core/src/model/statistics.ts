import type { Scope, Value } from '../graph/graph.ts';
import * as op from '../graph/ops.ts';
import { type Dim, ratio, times, volume } from '../graph/shape.ts';

/** One run of numbers within the `statistics` and `sums` vectors. */
export interface StatisticSlot {
  /** The block that it belongs to, by its place in the network. */
  readonly block: string;
  /** `sum`: Σx a channel. `gram`: Σqkᵀ, head by head, row-major. `square-q`, `square-k`: Σq², Σk² a channel. */
  readonly kind: 'sum' | 'gram' | 'square-q' | 'square-k';
  /** Summed over the half-resolution grid strided by 2^level: divide by Hh·Wh/4^level for the mean. */
  readonly level: number;
  readonly offset: number;
  readonly length: number;
}

/** Unnormalised products of an attention: Σqkᵀ [·,heads,d,d], Σq² [·,heads,d,1], Σk² [·,heads,1,d], all times one factor. */
export interface GramStatistics {
  readonly gram: Value;
  readonly squareQ: Value;
  readonly squareK: Value;
}

/** Everything in the network that looks at the whole image at once goes through here. */
export interface Statistics {
  /** Mean a channel, N C H W → [N or 1, C, 1, 1]. */
  mean(s: Scope, x: Value): Value;
  /** q and k as [N, heads, d, pixels] with their image shape [N, C, h, w]. */
  gram(s: Scope, q: Value, k: Value, heads: number): GramStatistics;
  /** All sums of this pass, [N, S]. */
  sums(s: Scope): Value;
  readonly slots: readonly StatisticSlot[];
}

export interface StatisticsOptions {
  /** Side at level 0, the half-resolution height. */
  readonly height: Dim;
  readonly width: Dim;
  /** Frozen means of the whole image, [1, S], instead of the input's own. */
  readonly given?: Value;
  /** Restricts the sums to a core, [N, 1, h, w] in {0, 1}, constant on 8×8 blocks. */
  readonly core?: Value;
  /** Image whose sides are known at run time, where height and width are symbols. */
  readonly image: Value;
  /** Operands of one Concat; WebGPU binds only a few buffers to a shader. */
  readonly fanIn?: number;
  /** Sums of squares as pooled means times the number of pixels. */
  readonly poolSquares?: boolean;
}

export function createStatistics({
  height,
  width,
  given,
  core,
  image,
  fanIn = Infinity,
  poolSquares = false,
}: StatisticsOptions): Statistics {
  const slots: StatisticSlot[] = [];
  const pieces: Value[] = [];
  const cores = new Map<number, Value>();
  let offset = 0;

  const levelOf = (s: Scope, x: Value): number => {
    const level = Math.log2(ratio(height, x.shape[2]!) ?? Number.NaN);
    return Number.isInteger(level) ? level : s.fail('statistics of a grid that is no halving of the first', x.shape);
  };
  const slot = (s: Scope, kind: StatisticSlot['kind'], level: number, length: number): StatisticSlot => {
    const added = { block: s.path, kind, level, offset, length };
    slots.push(added);
    offset += length;
    return added;
  };
  const frozen = (s: Scope, vector: Value, { offset, length }: StatisticSlot) =>
    op.slice(s, vector, 1, offset, offset + length);
  const coreAt = (s: Scope, mask: Value, level: number): Value => {
    const known = cores.get(level);
    if (known) return known;
    const made = level === 0 ? mask : op.stride(s, mask, 2 ** level);
    cores.set(level, made);
    return made;
  };
  /** Number of pixels of a grid, as a scalar; from the sides that the image turns out to have where those are symbols. */
  let area: Value | undefined;
  const pixels = (s: Scope, h: Dim, w: Dim): Value => {
    const count = volume([h, w]);
    if (typeof count === 'number') return s.constant([count], []);
    const share = ratio(count, volume(image.shape.slice(2)));
    if (share === undefined) return s.fail('statistics of a grid that is no part of the image', [h, w], image.shape);
    area ??= op.reduceProduct(s, op.cast(s, op.sides(s, image, 2, 4), 'float32'));
    return op.scale(s, area, share);
  };
  const flat = (s: Scope, x: Value, length: number) => op.reshape(s, x, [x.shape[0]!, length]);

  return {
    slots,
    mean(s, x) {
      const [n, c] = x.shape as [Dim, number];
      const level = levelOf(s, x);
      const place = slot(s, 'sum', level, c);
      // With a core, sums are taken over it; without, pooled means are, and sums() multiplies them by the count.
      const seen = core
        ? op.reduce(s, 'Sum', op.mul(s, x, coreAt(s, core, level)), [2, 3])
        : op.globalAveragePool(s, x);
      pieces.push(op.reshape(s, seen, [n, c]));
      return given ? op.reshape(s, frozen(s, given, place), [1, c, 1, 1]) : seen;
    },
    gram(s, q, k, heads) {
      const [n, c, h, w] = q.shape as [Dim, number, Dim, Dim];
      const level = levelOf(s, q);
      const d = c / heads;
      const mask = core && coreAt(s, core, level);
      const inCore = (x: Value) => (mask ? op.mul(s, x, mask) : x);
      const rows = (x: Value) => op.reshape(s, x, [n, heads, d, times(h, w)]);
      const [qCore, kCore] = [inCore(q), inCore(k)];
      const gram = op.matmul(s, rows(qCore), op.transpose(s, rows(kCore), [0, 1, 3, 2]), { wide: true });
      const squares = (x: Value): Value => {
        if (!poolSquares) return op.reduce(s, 'SumSquare', rows(x), [3]);
        const mean = op.globalAveragePool(s, op.square(s, x));
        return op.reshape(s, op.mul(s, mean, pixels(s, h, w)), [n, heads, d, 1]);
      };
      const [squareQ, squareK] = [squares(qCore), squares(kCore)];
      pieces.push(flat(s, gram, heads * d * d), flat(s, squareQ, c), flat(s, squareK, c));
      const places = [
        slot(s, 'gram', level, heads * d * d),
        slot(s, 'square-q', level, c),
        slot(s, 'square-k', level, c),
      ] as const;
      if (!given) return { gram, squareQ, squareK: op.reshape(s, squareK, [n, heads, 1, d]) };
      return {
        gram: op.reshape(s, frozen(s, given, places[0]), [1, heads, d, d]),
        squareQ: op.reshape(s, frozen(s, given, places[1]), [1, heads, d, 1]),
        squareK: op.reshape(s, frozen(s, given, places[2]), [1, heads, 1, d]),
      };
    },
    sums(s) {
      let row = [...pieces];
      while (row.length > 1) {
        const size = Math.min(row.length, fanIn);
        const groups = Array.from({ length: Math.ceil(row.length / size) }, (_, i) =>
          row.slice(i * size, (i + 1) * size),
        );
        row = groups.map((group) => (group.length > 1 ? op.concat(s, group, 1) : group[0]!));
      }
      const all = row[0]!;
      if (core) return all;
      const each = (value: (slot: StatisticSlot) => number) =>
        s.constant(
          slots.flatMap((part) => new Array<number>(part.length).fill(value(part))),
          [1, offset],
        );
      // Pooled means times the pixels that they were taken over.
      const levels = each(({ kind, level }) => (kind === 'sum' ? 4 ** -level : 0));
      const others = each(({ kind }) => (kind === 'sum' ? 0 : 1));
      return op.mul(s, all, op.add(s, op.mul(s, levels, pixels(s, height, width)), others));
    },
  };
}
