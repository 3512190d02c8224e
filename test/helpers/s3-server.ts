import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Entry {
  readonly bytes: Buffer;
  readonly type: string;
  readonly metadata: Record<string, string>;
  readonly etag: string;
  readonly tags: URLSearchParams;
  readonly storageClass: string | undefined;
}

/**
 * The part of S3 that a store needs, on loopback: objects with metadata, `If-Match`, `If-None-Match: *`, ranges, and
 * tags, storage classes, ListObjectsV2 in pages of two. Signatures are required but not checked; real servers are tried in `test/services`.
 */
export async function startS3(
  options: {
    /** A status to answer with instead, with S3's word for it; 0 breaks the connection. */
    readonly fault?: (method: string, key: string, bucket: string) => number | readonly [number, string] | undefined;
    /** Objects are kept as `bucket/key`; otherwise all buckets are one. */
    readonly byBucket?: boolean;
  } = {},
) {
  const objects = new Map<string, Entry>();
  let writes = 0;
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const url = new URL(request.url ?? '/', 'http://s3');
    const [, bucket = '', ...rest] = url.pathname.split('/');
    const name = rest.map(decodeURIComponent).join('/');
    const home = options.byBucket ? `${bucket}/` : '';
    const key = home + name;
    const method = request.method ?? '';
    // As S3 does it, the answer to a HEAD has no body to say why.
    const answer = (status: number, word: string) =>
      response.writeHead(status).end(method === 'HEAD' ? undefined : `<Error><Code>${word}</Code></Error>`);
    const [fault, code = 'InternalError'] = [options.fault?.(method, name, bucket)].flat() as [number?, string?];
    if (fault === 0) return response.destroy();
    if (fault) return answer(fault, code);
    const presigned = method === 'GET' && url.searchParams.has('X-Amz-Signature');
    if (!presigned && !request.headers.authorization?.startsWith('AWS4-HMAC-SHA256'))
      return answer(403, 'AccessDenied');
    const present = objects.get(key);
    const match = request.headers['if-match'];
    if (method === 'PUT') {
      if (request.headers['if-none-match'] === '*' && present) return answer(412, 'PreconditionFailed');
      if (match && !present) return answer(404, 'NoSuchKey');
      if (match && present?.etag !== match) return answer(412, 'PreconditionFailed');
      const bytes = Buffer.concat(parts);
      // A real server's ETag is the MD5 of the bytes; counting writes too makes every write tell itself apart.
      const etag = `"${createHash('md5').update(bytes).update(String(++writes)).digest('hex')}"`;
      const metadata = Object.fromEntries(
        Object.entries(request.headers).filter(([name]) => name.startsWith('x-amz-meta-')),
      ) as Record<string, string>;
      objects.set(key, {
        bytes,
        etag,
        metadata,
        type: request.headers['content-type'] ?? '',
        tags: new URLSearchParams(request.headers['x-amz-tagging'] as string | undefined),
        storageClass: request.headers['x-amz-storage-class'] as string | undefined,
      });
      return response.writeHead(200, { etag }).end();
    }
    if (method === 'DELETE') {
      if (match && present && present.etag !== match) return answer(412, 'PreconditionFailed');
      objects.delete(key);
      return response.writeHead(204).end();
    }
    if (name === '' && url.searchParams.get('list-type') === '2') {
      const prefix = url.searchParams.get('prefix') ?? '';
      const after = url.searchParams.get('continuation-token') ?? url.searchParams.get('start-after') ?? '';
      const here = [...objects.keys()].filter((each) => each.startsWith(home)).map((each) => each.slice(home.length));
      const keys = here.filter((each) => each.startsWith(prefix) && each > after).sort();
      const page = keys.slice(0, 2);
      const encoded = url.searchParams.get('encoding-type') === 'url';
      const encodeEntities = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
      const contents = page.map((each) => {
        const entry = objects.get(home + each) as Entry;
        return `<Contents><Key>${encoded ? encodeURIComponent(each) : encodeEntities(each)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>${entry.etag.replaceAll('"', '&quot;')}</ETag><Size>${entry.bytes.length}</Size></Contents>`;
      });
      const next =
        keys.length > 2 ? `<NextContinuationToken>${encodeEntities(page[1] ?? '')}</NextContinuationToken>` : '';
      const facts = `${encoded ? '<EncodingType>url</EncodingType>' : ''}<IsTruncated>${keys.length > 2}</IsTruncated>`;
      return response.end(`<ListBucketResult>${facts}${contents.join('')}${next}</ListBucketResult>`);
    }
    if (!present) return answer(404, 'NoSuchKey');
    if (url.searchParams.has('tagging')) {
      const tags = [...present.tags].map(([name, value]) => `<Tag><Key>${name}</Key><Value>${value}</Value></Tag>`);
      return response.end(`<Tagging><TagSet>${tags.join('')}</TagSet></Tagging>`);
    }
    if (match && present.etag !== match) return answer(412, 'PreconditionFailed');
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const bytes = range
      ? present.bytes.subarray(Number(range[1]), range[2] ? Number(range[2]) + 1 : undefined)
      : present.bytes;
    response.writeHead(range ? 206 : 200, {
      etag: present.etag,
      'content-type': present.type,
      'content-length': bytes.length,
      ...(range
        ? { 'content-range': `bytes ${range[1]}-${Number(range[1]) + bytes.length - 1}/${present.bytes.length}` }
        : {}),
      ...(present.storageClass && { 'x-amz-storage-class': present.storageClass }),
      ...present.metadata,
    });
    response.end(method === 'HEAD' ? undefined : bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
