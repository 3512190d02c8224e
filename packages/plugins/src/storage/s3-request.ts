import { Readable } from 'node:stream';
import { HeadObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { getEndpointFromInstructions } from '@smithy/core/endpoints';
import { escapeUriPath, HttpRequest, type HttpResponse } from '@smithy/core/protocols';

/** One request on one object. */
export interface ObjectRequest {
  readonly method: 'HEAD' | 'GET' | 'PUT' | 'DELETE';
  readonly key: string;
  readonly versionId?: string | undefined;
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly signal?: AbortSignal | undefined;
}

export interface ObjectAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Of a GET that succeeded; every other body has been let go. */
  readonly body?: ReadableStream<Uint8Array>;
}

/** Sends a request; undefined where only the SDK can tell what is to be done. */
export type SendRequest = (request: ObjectRequest) => Promise<ObjectAnswer | undefined>;

/**
 * The way past the SDK's middleware, which takes more than two thirds of a small request's processor time: endpoint,
 * credentials, signature and connections are the client's own, the rest is a URL and a few headers.
 *
 * Nothing is decided here but success. Whatever else may happen (no connection, no credentials, a bucket that needs more
 * than a plain signature) is answered by undefined or by its status, and the caller asks again through the SDK, which
 * knows how to retry, to set its clock, and what the error is called.
 */
export function createSender(client: S3Client, bucket: string): SendRequest {
  let place: Promise<Place | undefined> | undefined;
  return async ({ method, key, versionId, headers = {}, body, signal }) => {
    try {
      place ??= placeOf(client, bucket);
      const found = await place;
      if (found === undefined) return undefined;
      const { server, host, folder, sign } = found;
      const request = new HttpRequest({
        ...server,
        method,
        path: folder + escapeUriPath(key),
        headers: body ? { ...headers, host, 'content-length': String(body.byteLength) } : { ...headers, host },
        ...(versionId !== undefined && { query: { versionId } }),
        ...(body && { body }),
      });
      const { response } = await client.config.requestHandler.handle(await sign(request), {
        ...(signal && { abortSignal: signal }),
      });
      const wanted = method === 'GET' && response.statusCode < 300;
      if (!wanted) await letGo(response);
      return { status: response.statusCode, headers: response.headers, ...(wanted && { body: streamOf(response) }) };
    } catch {
      // The SDK will meet the same trouble and say what it is, or get over it.
      return undefined;
    }
  };
}

/** Where a bucket is, and how requests to it are signed. */
interface Place {
  readonly server: { readonly protocol: string; readonly hostname: string; readonly port?: number };
  readonly host: string;
  /** Path of the bucket, with its slash. */
  readonly folder: string;
  readonly sign: (request: HttpRequest) => Promise<HttpRequest>;
}

async function placeOf(client: S3Client, bucket: string): Promise<Place | undefined> {
  // Tracing, mocks and headers of an application's own live in the middleware.
  if (client.middlewareStack.identify().join() !== usual()) return undefined;
  const { config } = client;
  const { url, properties, headers } = await getEndpointFromInstructions(
    { Bucket: bucket },
    HeadObjectCommand,
    config as Parameters<typeof getEndpointFromInstructions>[2],
  );
  const [scheme] = (properties?.authSchemes ?? []) as { name: string; signingName: string; signingRegion: string }[];
  // Directory buckets sign with a session, multi-region access points with another algorithm.
  if (scheme?.name !== 'sigv4' || Object.keys(headers ?? {}).length > 0) return undefined;
  const signer = await config.signer({ ...scheme, properties: {} });
  return {
    server: { protocol: url.protocol, hostname: url.hostname, ...(url.port !== '' && { port: Number(url.port) }) },
    host: url.host,
    folder: url.pathname.replace(/\/?$/, '/'),
    async sign(request) {
      // The SDK keeps the offset of a clock that is wrong.
      const signingDate = new Date(Date.now() + config.systemClockOffset);
      const { signingRegion, signingName: signingService } = scheme;
      return (await signer.sign(request, { signingDate, signingRegion, signingService })) as HttpRequest;
    },
  };
}

let known: string | undefined;
/** The middleware of a client that nobody has added anything to. */
function usual(): string {
  known ??= new S3Client({ region: 'us-east-1' }).middlewareStack.identify().join();
  return known;
}

const streamOf = ({ body }: HttpResponse): ReadableStream<Uint8Array> =>
  body instanceof Readable ? (Readable.toWeb(body) as ReadableStream<Uint8Array>) : body;

/** Reads what is not wanted to its end, so that the connection is free for the next request. */
async function letGo({ body }: HttpResponse): Promise<void> {
  if (body instanceof ReadableStream) return body.cancel();
  if (!(body instanceof Readable)) return;
  await new Promise<void>((resolve) => {
    body.once('end', resolve).once('error', resolve).once('close', resolve).resume();
  });
}
