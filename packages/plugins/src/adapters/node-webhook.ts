import { createHash, timingSafeEqual } from 'node:crypto';
import { ElfinError } from '@elfin/core';
import { chunksOf } from '@elfin/storage';
import type { Journal } from '../watch/journal.ts';

export interface WebhookOptions {
  /** Where events are kept until they are done. */
  readonly journal: Journal;
  /** Comes as `Authorization: Bearer …`, or as the last segment of the path from senders that can set no header (versitygw). */
  readonly secret: string;
  /** Largest body. Default 1 MiB: senders put one event, or a few, into one. */
  readonly maxBytes?: number;
}

/**
 * Takes events by HTTP: a fetch handler, to be served by any Node server. It answers 202 only when the event lies on the
 * disk, since versitygw tells of an upload once and never again. Answers 401, 405, 413 and 400 (no JSON) leave it to the
 * sender; 503 says that the journal could not be written.
 */
export function createWebhook({ journal, secret, maxBytes = 1024 * 1024 }: WebhookOptions) {
  // Of characters that stand in a URL as they are: it may come as a segment of the path.
  if (!/^[\w~.-]{16,}$/.test(secret)) {
    throw new ElfinError(
      'CONFIG_INVALID',
      'The webhook needs a secret of at least 16 letters, digits, "-", "_", "." or "~".',
    );
  }
  const expected = digest(secret);
  const admits = (given: string | undefined) => given !== undefined && timingSafeEqual(digest(given), expected);

  return async (request: Request): Promise<Response> => {
    const last = new URL(request.url).pathname.split('/').at(-1);
    const bearer = request.headers.get('authorization')?.replace(/^Bearer /i, '');
    // Both are compared, each in constant time: how long it takes tells nothing of which was nearly right.
    const admitted = [admits(bearer), admits(last)].some(Boolean);
    if (!admitted) return problem(401, 'The shared secret is missing or wrong.');
    if (request.method !== 'POST') return problem(405, 'Events are posted.', { allow: 'POST' });
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of request.body ? chunksOf(request.body) : []) {
      length += part.byteLength;
      if (length > maxBytes) return problem(413, `An event may take ${maxBytes} bytes.`);
      parts.push(part);
    }
    const text = Buffer.concat(parts).toString('utf8');
    if (isDeep(text)) return problem(400, `An event is nested at most ${MAX_DEPTH} deep.`);
    let event: unknown;
    try {
      event = JSON.parse(text);
    } catch {
      return problem(400, 'The body is not JSON.');
    }
    return journal.append(event).then(
      () => new Response(null, { status: 202 }),
      () => problem(503, 'The event could not be written to the journal; send it again.'),
    );
  };
}

/** No sender nests more than a dozen; what goes deeper would overflow the stack of whoever writes it again. */
const MAX_DEPTH = 64;

/** Whether JSON nests too deeply, strings left out; of what is no JSON it may say either. */
function isDeep(text: string): boolean {
  let depth = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/g)) {
    if (token === '[' || token === '{') depth++;
    else if (token === ']' || token === '}') depth--;
    if (depth > MAX_DEPTH) return true;
  }
  return false;
}

const digest = (text: string) => createHash('sha256').update(text).digest();
const problem = (status: number, error: string, headers: Record<string, string> = {}) =>
  Response.json({ error }, { status, headers });
