import type { Options } from './options.ts';
import { formatTransform } from './parse.ts';
import type { Signer, SignOptions } from './sign.ts';

/** `@elfin/edge/loaders`: URLs for image components in browsers, and signed ones from servers. */

export interface LoaderOptions {
  /** Where the edge answers, for example `https://img.example.com`; empty for the same origin. */
  readonly base?: string;
  /** Default `i`. */
  readonly prefix?: string;
  /** A preset that the edge's `unsigned` rules name. */
  readonly preset: string;
  /** The widths that the rules name: what a component asks for is rounded up to one of them. */
  readonly widths: readonly number[];
}

/** An unsigned URL of a preset: all that a page can make by itself, since a key in a page is no secret. */
function presetUrl(options: LoaderOptions, source: string, width: number | undefined): string {
  const { base = '', prefix = 'i', preset } = options;
  const widths = options.widths.toSorted((a, b) => a - b);
  const allowed = width === undefined ? undefined : (widths.find((one) => one >= width) ?? widths.at(-1));
  return `${base}/${prefix}/${formatTransform({ options: { preset, ...(allowed === undefined ? {} : { width: allowed }) }, source })}`;
}

/**
 * A loader for `next/image`. Quality is the preset's: what the component asks for would need a signature.
 * Errors: URL_INVALID, OPTION_INVALID.
 */
export function createNextLoader(options: LoaderOptions) {
  return ({ src, width }: { readonly src: string; readonly width: number; readonly quality?: number }): string =>
    presetUrl(options, src, width);
}

/** A transformer for unpic's components: their `transformer` property, which is asked once a width. */
export function createUnpicTransformer(options: LoaderOptions) {
  return (src: string | URL, operations: { readonly width?: number | string } = {}): string => {
    const width = Number(operations.width);
    return presetUrl(options, String(src), Number.isFinite(width) && width > 0 ? Math.round(width) : undefined);
  };
}

/**
 * A signed `srcset` for a page rendered on a server. All its URLs share one window of expiry, so they stay cacheable.
 * Errors: as `Signer.sign`.
 */
export async function signedSrcset(
  signer: Pick<Signer, 'sign'>,
  image: {
    readonly base?: string;
    readonly source: string;
    readonly options: Options;
    readonly widths: readonly number[];
    readonly sign?: SignOptions;
  },
): Promise<string> {
  const { base = '', source, options, widths, sign } = image;
  const entries = widths.map(async (width) => {
    const path = await signer.sign({ options: { ...options, width }, source }, sign);
    return `${base}${path} ${width * (options.dpr ?? 1)}w`;
  });
  return (await Promise.all(entries)).join(', ');
}
