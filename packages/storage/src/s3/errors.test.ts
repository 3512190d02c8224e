import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { ERRORS } from '@elfin/core';
import { probeConditionalWrites, S3_ERRORS } from '@elfin/storage';
import { createClientStore } from '@elfin/storage/aws';
import { afterEach, describe, expect, it } from 'vitest';
import { s3Error } from './errors.ts';

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

describe('the start-up probe', () => {
  it('refuses s3rver, which takes conditions and ignores them', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'elfin-s3rver-'));
    const S3rver = createRequire(import.meta.url)('s3rver');
    const server = new S3rver({
      port: 0,
      address: '127.0.0.1',
      silent: true,
      directory: folder,
      configureBuckets: [{ name: 'photos' }],
    });
    const { port } = (await server.run()) as AddressInfo;
    const client = new S3Client({
      endpoint: `http://127.0.0.1:${port}`,
      region: 'us-east-1',
      credentials: { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' },
      forcePathStyle: true,
      // s3rver takes the SDK's chunked checksums for content.
      requestChecksumCalculation: 'WHEN_REQUIRED',
    });
    cleanups.push(
      () => rm(folder, { recursive: true, force: true }),
      () => server.close(),
      () => client.destroy(),
    );
    const store = createClientStore({ client, bucket: 'photos' });
    await expect(probeConditionalWrites(store, '.elfin/claims/')).rejects.toMatchObject({ code: 'STORE_UNSUITABLE' });
    expect((await store.list('')).objects).toEqual([]);
  });
});

describe('errors of the SDK', () => {
  const said = (name: string, httpStatusCode?: number) =>
    s3Error(Object.assign(new Error('words'), { name, $metadata: { httpStatusCode } }), {
      verb: 'read',
      bucket: 'b',
      key: 'k',
    });

  it.each([
    ['AccessDenied', 403, 'INPUT_UNREADABLE', false],
    ['UnknownError', 403, 'INPUT_UNREADABLE', false],
    ['NoSuchBucket', 404, 'INPUT_UNREADABLE', false],
    ['ExpiredToken', 400, 'CREDENTIALS_EXPIRED', true],
    ['InvalidTokenId', 403, 'CREDENTIALS_EXPIRED', true],
    ['CredentialsProviderError', undefined, 'CREDENTIALS_EXPIRED', true],
    ['SlowDown', 503, 'STORE_FAILED', true],
    ['TimeoutError', undefined, 'STORE_FAILED', true],
    ['XMinioInvalidResourceName', 400, 'KEY_UNSAFE', false],
    ['ObjectParentIsFile', 409, 'OUTPUT_EXISTS', false],
    ['AbortError', undefined, 'ABORTED', false],
    ['InvalidObjectState', 403, 'OBJECT_ARCHIVED', false],
    ['PermanentRedirect', 301, 'INPUT_UNREADABLE', false],
    ['KMS.DisabledException', 400, 'INPUT_UNREADABLE', false],
    ['XMinioStorageFull', 507, 'STORE_FAILED', true],
    ['TooNewToBeKnown', 400, 'STORE_FAILED', true],
    ['', 429, 'STORE_FAILED', true],
  ] as const)('%s %s is %s', (name, status, code, retry) => {
    expect(said(name, status)).toMatchObject({ code, retry });
    expect(said(name, status).message).toContain('"k" in bucket b');
  });

  it('have a code that is retried where their remedy is to retry, and only there', () => {
    for (const [word, { remedy, code }] of S3_ERRORS) {
      if (word === 'AbortError') continue;
      // Credentials are a person's to renew, and a provider may do it, so they are asked for again.
      expect([word, ERRORS[code].retry]).toEqual([word, remedy === 'retry' || code === 'CREDENTIALS_EXPIRED']);
    }
    expect(S3_ERRORS.size).toBeGreaterThan(120);
  });
});
