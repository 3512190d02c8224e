import type { Hono } from 'hono';
import { errorResponse } from '../http/errors.ts';
import { formatTransform, parseOptions, type Transform } from '../url/parse.ts';
import type { Signer } from '../url/sign.ts';
import { page } from './page.ts';
import { SCRIPT } from './script.ts';
import { STYLE } from './style.ts';

export interface PlaygroundOptions {
  readonly prefix: string;
  readonly signer?: Signer;
  /** Sources that the page offers. */
  readonly samples?: () => Promise<readonly string[]>;
}

/** What stands for a photo in the strip of samples. */
const THUMBNAIL = 'restore=none,width=160,height=120,fit=cover,format=webp';

const hash = async (text: string) => {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return `'sha256-${btoa(String.fromCharCode(...new Uint8Array(digest)))}'`;
};

/**
 * A page at `/` to try URLs on, with before and after under one handle, and a signer for it. Only for development: whoever
 * reaches it can have anything signed.
 */
export function landingPage(app: Hono, options: PlaygroundOptions): void {
  const { prefix, signer, samples = async () => [] } = options;
  const policy = Promise.all([hash(SCRIPT), hash(STYLE)]).then(
    ([script, style]) =>
      `default-src 'none'; script-src ${script}; style-src ${style}; img-src 'self' blob: data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  );
  const sign = async (transform: Transform) =>
    signer ? signer.sign(transform) : `/${prefix}/${formatTransform(transform)}`;

  app.get('/', async (c) =>
    c.html(page(), 200, { 'content-security-policy': await policy, 'x-content-type-options': 'nosniff' }),
  );
  app.get('/_playground/sign', async (c) => {
    try {
      const given = { options: parseOptions(c.req.query('options') ?? ''), source: c.req.query('source') ?? '' };
      return c.text(await sign(given), 200, { 'cache-control': 'no-store' });
    } catch (error) {
      return errorResponse(error);
    }
  });
  app.get('/_playground/samples', async (c) => {
    const sources = await samples();
    const thumbnails = sources.map(async (source) => ({
      source,
      thumbnail: await sign({ options: parseOptions(THUMBNAIL), source }),
    }));
    return c.json(await Promise.all(thumbnails), 200, { 'cache-control': 'no-store' });
  });
}
