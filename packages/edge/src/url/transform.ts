import { ElfinError, pickResultOptions, type ResultOptions } from '@elfin/core';
import { type AcceptBucket, variant as variantOf } from '../http/negotiate.ts';
import type { Options } from './options.ts';
import { formatOptions, parseOptions, type Transform } from './parse.ts';

/** What a request asks for once presets, defaults and negotiation have had their say. */
export interface Plan {
  /** Canonical source name. */
  readonly source: string;
  /** What decides the bytes, but for the format, which also depends on the source. */
  readonly result: Omit<ResultOptions, 'format'>;
  /** See `variant` in negotiate.ts. */
  readonly variant: string;
  /** The options that refs and jobs go by: equal for URLs that differ only in how they are answered. */
  readonly path: string;
  readonly json: boolean;
  readonly negotiated: boolean;
  readonly pending: NonNullable<Options['pending']>;
  readonly redirectOnError: boolean;
  readonly firstFrame: boolean;
}

/** Named sets of options. */
export type Presets = ReadonlyMap<string, Options>;

/**
 * Reads presets written like a URL's options segment. Errors: OPTION_INVALID as `parseOptions`; CONFIG_INVALID for a bad
 * name, or a preset that names another.
 */
export function parsePresets(presets: Readonly<Record<string, string>>): Presets {
  return new Map(
    Object.entries(presets).map(([name, text]) => {
      parseOptions(`preset=${name}`);
      const options = parseOptions(text);
      if (options.preset !== undefined) {
        throw new ElfinError('CONFIG_INVALID', `The preset "${name}" names another preset; write its options out.`);
      }
      return [name, options];
    }),
  );
}

/**
 * Resolves a transform. Errors: OPTION_INVALID for an unknown preset, or sides that are larger than `maxSide` with the
 * pixel ratio multiplied in.
 */
export function planTransform(
  transform: Transform,
  context: { readonly presets: Presets; readonly bucket: AcceptBucket; readonly maxSide: number },
): Plan {
  const { preset, ...given } = transform.options;
  const named = preset === undefined ? {} : context.presets.get(preset);
  if (named === undefined) throw new ElfinError('OPTION_INVALID', `There is no preset "${preset}" on this server.`);
  const { pending = 'original', onerror, format, animated, dpr = 1, ...rest } = { ...named, ...given };
  const side = (name: 'width' | 'height') => {
    const css = rest[name];
    if (css === undefined) return undefined;
    const pixels = Math.max(1, Math.round(css * dpr));
    if (pixels <= context.maxSide) return pixels;
    throw new ElfinError(
      'OPTION_INVALID',
      `${name} × dpr is ${pixels}, more than the ${context.maxSide} pixels allowed.`,
    );
  };
  const [width, height] = [side('width'), side('height')];
  const variant = variantOf(format, context.bucket);
  const result = { ...pickResultOptions({ ...rest, width, height }), restore: rest.restore ?? 'none' };
  return {
    source: transform.source,
    result,
    variant,
    path: formatOptions({ ...rest, ...(animated ? { animated } : {}), ...(dpr === 1 ? {} : { dpr }) }),
    json: format === 'json',
    negotiated: format === undefined || format === 'auto',
    pending,
    redirectOnError: onerror === 'redirect',
    firstFrame: animated === 'first',
  };
}
