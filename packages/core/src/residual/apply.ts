import { ElfinError, throwIfAborted } from '../base/errors.ts';
import { wait } from '../base/wait.ts';
import { compose, type Finish } from '../tiling/compose.ts';
import type { PixelSink, PixelSource } from '../tiling/pixels.ts';
import { createEnlarger } from './enlarge.ts';
import { isFullSize, type Residual } from './residual.ts';

/** About as many pixels are in hand at once. */
const BAND = 1 << 18;

/** How a residual is put to use. */
export interface ApplyOptions extends Finish {
  readonly signal?: AbortSignal | undefined;
  /** Called with the share of the picture that is written, 0…1. */
  readonly onProgress?: ((fraction: number) => void) | undefined;
}

/**
 * Source plus enlarged residual, finished and written row by row: memory is that of a band. Errors: OPTION_INVALID where the
 * residual is of another picture's size or depth, ABORTED, and those of source and sink.
 */
export async function applyResidual(
  residual: Residual,
  source: PixelSource,
  sink: PixelSink,
  options: ApplyOptions = {},
): Promise<void> {
  const { width, height, bitDepth } = source;
  const { signal, onProgress } = options;
  if (!isFullSize(source, residual.source) || bitDepth !== residual.source.bitDepth) {
    const own = residual.source;
    throw new ElfinError(
      'OPTION_INVALID',
      `This was inferred from a picture of ${own.width}×${own.height} with ${own.bitDepth} bits, not of ${width}×${height} with ${bitDepth}; infer again.`,
    );
  }
  const most = bitDepth === 16 ? 65535 : 255;
  const { data, unit } = residual;
  const full = isFullSize(residual, source);
  const enlarger = createEnlarger(residual, width, height);
  const count = Math.max(1, Math.floor(BAND / width));
  const band = new Float32Array(Math.min(count, height) * width * 3);
  for (let y = 0; y < height; y += count) {
    throwIfAborted(signal);
    const rows = Math.min(count, height - y);
    const before = await source.read(0, y, width, rows, signal);
    const result = band.subarray(0, rows * width * 3);
    if (full) result.set(data.subarray(y * width * 3, (y + rows) * width * 3));
    else
      for (let row = 0; row < rows; row++)
        enlarger.row(y + row, result.subarray(row * width * 3, (row + 1) * width * 3));
    for (let i = 0; i < result.length; i++) result[i] = before[i]! / most + unit * result[i]!;
    await sink.write(0, y, width, rows, compose(result, before, bitDepth, options));
    onProgress?.((y + rows) / height);
    // Arithmetic on this thread: whoever else waits for it has a turn.
    await wait(0);
  }
}
