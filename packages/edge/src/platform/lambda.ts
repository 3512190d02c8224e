import type { Models, Runtime } from '@elfin/core';
import type { LambdaContext, LambdaEvent } from 'hono/aws-lambda';
import { handle } from 'hono/aws-lambda';
import type { QueueMessage } from '../http/handover.ts';
import { createNodeEdge, type NodeEdge, presignResults } from './node.ts';

/** Lambda's reply limit is 6 MB of JSON, and an image travels as base64 in it. */
const REPLY_BYTES = 4_400_000;

export interface LambdaEdgeOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly models?: Models;
  readonly runtime?: Runtime;
  /** Sends work to an SQS queue whose consumer is {@link LambdaEdge.consume}; without it a request waits for its result. */
  readonly send?: (message: QueueMessage) => Promise<void>;
  /**
   * Where a result over the reply limit is fetched instead: a URL of the stored object for the key `result/<hex>`, behind a
   * CDN for example. By default one that `ELFIN_STORE`'s bucket answers for five minutes; with a folder such a result is 507.
   */
  readonly redirect?: (key: string) => string | Promise<string>;
}

export interface LambdaEdge {
  /** For API Gateway v1 and v2, function URLs and ALB. */
  handler(event: LambdaEvent, context?: LambdaContext): Promise<unknown>;
  /** For the SQS trigger, with `ReportBatchItemFailures`. */
  consume(event: { readonly Records: readonly { readonly messageId: string; readonly body: string }[] }): Promise<{
    batchItemFailures: { itemIdentifier: string }[];
  }>;
}

/**
 * The edge on Lambda. Between invocations the sandbox is frozen, so nothing goes on after an answer: work that takes long
 * is queued, or waited for. Errors: as `createNodeEdge`, at the first event.
 */
export function createLambdaEdge(options: LambdaEdgeOptions): LambdaEdge {
  const { send } = options;
  // Tiles keep a sandbox busy, and paid for, while workers compute; one whole image is one call.
  const env = { ELFIN_OFFLOAD: 'image', ...(options.env ?? process.env) };
  const redirect = options.redirect ?? presignResults(env);
  let opening: Promise<NodeEdge> | undefined;
  const open = () => {
    opening ??= createNodeEdge({
      env,
      ...(options.models ? { models: options.models } : {}),
      ...(options.runtime ? { runtime: options.runtime } : {}),
      // A function URL is public, and a sandbox's numbers are one of many.
      edge: { scrape: undefined, background: send ? { kind: 'queue', send } : { kind: 'none' } },
    }).catch((error) => {
      opening = undefined;
      throw error;
    });
    return opening;
  };

  async function fit(response: Response): Promise<Response> {
    if (Number(response.headers.get('content-length') ?? 0) <= REPLY_BYTES) return response;
    const key = /^"([0-9a-f]{64})"$/.exec(response.headers.get('etag') ?? '')?.[1];
    await response.body?.cancel();
    const headers = new Headers(response.headers);
    headers.delete('content-length');
    headers.delete('content-type');
    // The address may be presigned, and then outlives neither a cache nor a page.
    headers.set('cache-control', 'private, max-age=60');
    if (key && redirect) {
      headers.set('location', await redirect(`result/${key}`));
      return new Response(null, { status: 302, headers });
    }
    headers.set('elfin-error', 'IMAGE_TOO_MANY_BYTES');
    headers.set('cache-control', 'no-store');
    return new Response(null, { status: 507, headers });
  }

  return {
    async handler(event, context) {
      const { edge } = await open();
      const app = { fetch: async (request: Request) => fit(await edge.fetch(request)) };
      return handle(app as never, { isContentTypeBinary: (type) => /^image\//.test(type) })(event, context);
    },
    async consume({ Records }) {
      const { edge } = await open();
      const failed = await Promise.all(
        Records.map(async ({ messageId, body }) => {
          try {
            await edge.consume(JSON.parse(body) as QueueMessage);
            return [];
          } catch {
            return [{ itemIdentifier: messageId }];
          }
        }),
      );
      return { batchItemFailures: failed.flat() };
    },
  };
}
