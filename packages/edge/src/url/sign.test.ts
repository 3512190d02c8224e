import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyOptions, anySource } from '../../../../test/helpers/transform-urls.ts';
import { parseTransform } from './parse.ts';
import { createSigner, parseCredentials, parseUrlKeys, type UrlKey } from './sign.ts';
import { createUnsignedGate } from './unsigned.ts';

const key = (id: string, byte: number): UrlKey => ({ id, secret: new Uint8Array(32).fill(byte) });
const signer = createSigner({ keys: [key('a', 1)] });
const transform = parseTransform('restore=derain,width=1200/https%3A%2F%2Forigin.example%2Frain.jpg');
const invalid = expect.objectContaining({ code: 'SIGNATURE_INVALID' });

/** What the server reads out of a URL. */
function read(url: string) {
  const { pathname, search } = new URL(url, 'https://img.example.com');
  return { transform: parseTransform(pathname.slice('/i/'.length)), credentials: parseCredentials(search) };
}
const verify = (url: string, by = signer, now?: number) => {
  const { transform, credentials } = read(url);
  return by.verify(transform, credentials, now);
};

describe('signatures', () => {
  test('whatever is signed verifies, in its canonical and its signed spelling', async () => {
    await fc.assert(
      fc.asyncProperty(anyOptions, anySource, async (options, source) => {
        await expect(verify(await signer.sign({ options, source }, { ttl: 60 }))).resolves.toMatchObject({ kid: 'a' });
      }),
    );
  });

  test.each([
    ['https://Origin.Example/rain.jpg', 'https://origin.example/rain.jpg'],
    ['https://origin.example:443/rain.jpg', 'https://origin.example/rain.jpg'],
    ['https://origin.example/фото.jpg', 'https://origin.example/%D1%84%D0%BE%D1%82%D0%BE.jpg'],
    ['https://origin.example/größe.jpg', 'https://origin.example/gr%C3%B6%C3%9Fe.jpg'],
    ['https://origin.example/x/../rain.jpg', 'https://origin.example/rain.jpg'],
    ['https://origin.example', 'https://origin.example/'],
    ['HTTPS://origin.example/a.jpg', 'https://origin.example/a.jpg'],
    ['https://origin.example/a"b.jpg', 'https://origin.example/a%22b.jpg'],
    ['https://origin.example/a|b.jpg', 'https://origin.example/a|b.jpg'],
    ['https://münchen.example/a.jpg', 'https://xn--mnchen-3ya.example/a.jpg'],
    ['https://origin.example/a.jpg?x=é', 'https://origin.example/a.jpg?x=%C3%A9'],
    ['/sub/rain.jpg', 'sub/rain.jpg'],
    ['s3://photos/ä b.jpg', 's3://photos/ä b.jpg'],
  ])('%s is signed as the server reads it', async (source, canonical) => {
    const url = await signer.sign({ options: { restore: 'derain' }, source });
    expect(read(url).transform.source).toBe(canonical);
    await expect(verify(url)).resolves.toMatchObject({ kid: 'a' });
  });

  test('what no server would read is not signed', async () => {
    for (const source of ['sub//rain.jpg', './rain.jpg', '//evil.example/rain.jpg', '/', '']) {
      await expect(signer.sign({ options: { restore: 'derain' }, source })).rejects.toMatchObject({
        code: 'URL_INVALID',
      });
    }
    for (const times of [{ ttl: 0 }, { ttl: 60, window: 0.5 }, { ttl: 1e15 }, { ttl: Number.NaN }]) {
      await expect(signer.sign(transform, times)).rejects.toMatchObject({ code: 'OPTION_INVALID' });
    }
  });

  test('cancelling is signed apart: by job, and not by a URL of the picture', async () => {
    const job = await signer.name('x');
    const at = async (url: string) => parseCredentials(url.slice(url.indexOf('?')));
    const url = await signer.signCancel(job, { ttl: 60 });
    expect(url.split('?')[0]).toBe(`/jobs/${job}/cancel`);
    await expect(signer.verifyCancel(job, await at(url))).resolves.toBeUndefined();
    await expect(signer.verifyCancel(await signer.name('y'), await at(url))).rejects.toEqual(invalid);
    await expect(signer.verifyCancel(job, await at(await signer.sign(transform)))).rejects.toEqual(invalid);
    await expect(signer.verifyCancel(job, {})).rejects.toEqual(invalid);
    await expect(signer.verifyCancel(job, await at(url), Date.now() + 7_200_000)).rejects.toMatchObject({
      code: 'SIGNATURE_EXPIRED',
    });
    await expect(signer.signCancel('../x')).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  });

  test('a signature is over one meaning: any other transform, exp, kid, prefix or key is refused', async () => {
    const url = await signer.sign(transform, { ttl: 60 });
    const { credentials } = read(url);
    await fc.assert(
      fc.asyncProperty(anyOptions, anySource, async (options, source) => {
        await expect(signer.verify({ options, source }, credentials)).rejects.toEqual(invalid);
      }),
    );
    const later = { ...credentials, exp: String(Number(credentials.exp) + 1) };
    const { exp: _, ...never } = credentials;
    const { kid: __, ...anonymous } = credentials;
    for (const other of [later, never, anonymous, { ...credentials, kid: 'b' }]) {
      await expect(signer.verify(transform, other)).rejects.toEqual(invalid);
    }
    await expect(verify(url, createSigner({ keys: [key('a', 1)], prefix: 'j' }))).rejects.toEqual(invalid);
    await expect(verify(url, createSigner({ keys: [key('a', 2)] }))).rejects.toEqual(invalid);
  });

  test('another spelling of the same meaning is the same resource', async () => {
    const signed = await signer.sign(transform);
    const query = signed.slice(signed.indexOf('?'));
    await expect(verify(`/i/w=1200,restore=derain/https:/origin.example/rain.jpg${query}`)).resolves.toEqual({
      kid: 'a',
    });
  });

  test('every bit of the signature counts, and it has one spelling', async () => {
    const { credentials } = read(await signer.sign(transform));
    const sig = credentials.sig ?? '';
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    for (let at = 0; at < sig.length; at++) {
      for (const letter of alphabet) {
        if (letter === sig[at]) continue;
        await expect(
          signer.verify(transform, { ...credentials, sig: sig.slice(0, at) + letter + sig.slice(at + 1) }),
        ).rejects.toEqual(invalid);
      }
    }
    for (const bad of [`${sig}=`, `${sig}A`, sig.slice(1), '', 'x'.repeat(43)]) {
      await expect(signer.verify(transform, { ...credentials, sig: bad })).rejects.toEqual(invalid);
    }
    await expect(signer.verify(transform, {})).rejects.toEqual(invalid);
  });

  test('a URL runs out at exp, which is rounded up to a window', async () => {
    const now = Date.UTC(2026, 0, 1, 12, 34, 56);
    const url = await signer.sign(transform, { ttl: 60, now });
    expect(await signer.sign(transform, { ttl: 60, now: now + 1000 })).toBe(url);
    const exp = Date.UTC(2026, 0, 1, 13);
    await expect(verify(url, signer, exp - 1)).resolves.toEqual({ exp: exp / 1000, kid: 'a' });
    await expect(verify(url, signer, exp)).rejects.toMatchObject({ code: 'SIGNATURE_EXPIRED' });
  });

  test('rotation: the first key signs, all verify, a dropped one does not', async () => {
    const rotated = createSigner({ keys: [key('b', 2), key('a', 1)] });
    const old = await signer.sign(transform);
    await expect(verify(old, rotated)).resolves.toEqual({ kid: 'a' });
    expect(await rotated.sign(transform)).toContain('kid=b');
    await expect(verify(old, createSigner({ keys: [key('b', 2)] }))).rejects.toEqual(invalid);
  });

  test('the message is the documented one, so that other languages can sign', async () => {
    // printf 'v1\ni\nrestore=derain,width=1200\nhttps://origin.example/rain.jpg\n1767272400\na' | openssl dgst -sha256 -mac HMAC -macopt hexkey:01…01 -binary | basenc --base64url
    const { createHmac } = await import('node:crypto');
    const text = 'v1\ni\nrestore=derain,width=1200\nhttps://origin.example/rain.jpg\n1767272400\na';
    const sig = createHmac('sha256', new Uint8Array(32).fill(1)).update(text).digest('base64url');
    await expect(signer.verify(transform, { exp: '1767272400', kid: 'a', sig }, 0)).resolves.toMatchObject({
      kid: 'a',
    });
  });

  test('names are unguessable without the key', async () => {
    expect(await signer.name('x')).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(await createSigner({ keys: [key('a', 2)] }).name('x')).not.toBe(await signer.name('x'));
  });
});

test('keys are read from text, and a bad list is refused without quoting it', () => {
  expect(
    parseUrlKeys(`k1:${'ab'.repeat(32)}, k2:${'01'.repeat(16)}`).map(({ id, secret }) => [id, secret.length]),
  ).toEqual([
    ['k1', 32],
    ['k2', 16],
  ]);
  for (const bad of ['', 'k1', 'k1:abcd', `k1:${'zz'.repeat(32)}`, `a b:${'ab'.repeat(32)}`]) {
    expect(() => parseUrlKeys(bad)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.not.stringContaining('zz') }),
    );
  }
  expect(() => createSigner({ keys: [] })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  expect(() => createSigner({ keys: [key('a', 1), key('a', 2)] })).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID' }),
  );
});

test.each([
  '?x=1',
  '?sig=a&sig=b',
  '?exp=',
  '?kid=a&foo',
  '?SIG=a',
  '?exp=1&exp=1',
  '?&&sig=a',
  '?sig=a&',
  '?%73ig=a',
  '?sig=%61',
  '?kid=a+b',
])('the query %s is URL_INVALID', (query) => {
  expect(() => parseCredentials(query)).toThrow(expect.objectContaining({ code: 'URL_INVALID' }));
});

test('unsigned: presets × widths × sources is all there is', () => {
  const gate = createUnsignedGate({
    presets: ['thumb'],
    widths: [320, 640],
    sources: ['https://origin.example/public', 'photos/*'],
  });
  const allowed = (path: string) => gate(parseTransform(path));
  const url = encodeURIComponent('https://origin.example/public/a.jpg');
  expect(
    [`preset=thumb/${url}`, `preset=thumb,width=640/${url}`, 'w=320,preset=thumb/photos%2Fa.jpg'].map(allowed),
  ).toEqual([true, true, true]);
  expect(
    [
      `preset=other/${url}`,
      `width=640/${url}`,
      `preset=thumb,width=641/${url}`,
      `preset=thumb,quality=1/${url}`,
      `preset=thumb,pending=wait/${url}`,
      `preset=thumb/${encodeURIComponent('https://origin.example/private/a.jpg')}`,
      'preset=thumb/other%2Fa.jpg',
      'preset=thumb/s3%3A%2F%2Fb%2Fk',
    ].map(allowed),
  ).toEqual(Array(8).fill(false));
  // One picture by endless names: each would be work.
  const respelt = [
    'a.jpg?bust=1',
    'a.jpg?',
    '%61.jpg',
    'a%2Ejpg',
    '/a.jpg',
    'b/%c3%a4.jpg',
    'sub%2D1/a.jpg',
    '%7Ea.jpg',
  ];
  for (const name of respelt) {
    const source = encodeURIComponent(`https://origin.example/public/${name}`);
    expect([name, allowed(`preset=thumb/${source}`)]).toEqual([name, false]);
  }
  for (const name of ['b/%C3%A4.jpg', 'a%20b.jpg', 'a%2Bb.jpg', 'a+b.jpg', "it's(1).jpg"]) {
    const source = encodeURIComponent(`https://origin.example/public/${name}`);
    expect([name, allowed(`preset=thumb/${source}`)]).toEqual([name, true]);
  }
});
