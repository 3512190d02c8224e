import { readFile } from 'node:fs/promises';
import { createRestorer, loadSharpCodec } from '@elfin/core/node';
import { createModels } from '@elfin/models/node';
import { createMemoryStore } from '@elfin/storage';
import sharp from 'sharp';
import { createLocalBackend } from '../src/backends/local.ts';
import { createEdge } from '../src/http/edge.ts';
import { createSources, type Source } from '../src/source/source.ts';
import { parseTransform } from '../src/url/parse.ts';
import { createSigner } from '../src/url/sign.ts';

const SOURCE = 'https://origin.example/rain.jpg';
const KEYS = [{ id: 'k1', secret: new Uint8Array(32).fill(1) }];
/** Names of jobs, wherever an answer has one. */
const JOB = /(?<=job="|\/jobs\/|"id": ")[\w-]{22}/g;
/** Of the headers, what an example is about; what a computer or an encoder's version changes is left out. */
const SHOWN = ['content-type', 'restore-status', 'elfin-info', 'elfin-error', 'cache-control', 'vary', 'location'];

/** Signed examples under a key that everybody knows, and what an edge answers to each, so that whoever writes another one can check it. */
export async function examples(): Promise<string> {
  const signer = createSigner({ keys: KEYS });
  const codec = await loadSharpCodec();
  const models = createModels();
  await using restorer = createRestorer({ models, codec });
  const edge = createEdge({
    keys: KEYS,
    source: createSources({ allow: ['https://origin.example'], sources: { http: await rainyOrigin() } }),
    store: createMemoryStore(),
    backends: [createLocalBackend({ codec, restorer })],
    codec,
    models,
    syncWait: 60_000,
    presets: { thumb: 'width=80,format=webp' },
  });
  const shown: string[] = [];
  const show = async (title: string, url: string, headers: Record<string, string> = {}) => {
    const asked = Object.entries(headers).map(([name, value]) => `${name}: ${value}\n`);
    shown.push(
      `${title}:\n\n\`\`\`http\nGET ${url}\n${asked.join('')}\n${await told(await edge.fetch(new Request(`http://x${url}`, { headers })))}\n\`\`\``,
    );
  };
  const signed = (options: string, source = SOURCE) =>
    signer.sign(parseTransform(`${options}/${encodeURIComponent(source)}`));

  await show('Its rain removed', await signed('restore=derain'));
  const short = await signed('w=80,restore=derain,f=auto');
  await show('`w=80,restore=derain,f=auto`: any order, short names; a browser that takes WebP', short, {
    Accept: 'image/webp',
  });
  await show('The same again', short, { Accept: 'image/webp' });
  await show('A preset of the server’s', await signed('preset=thumb'));
  await show('What was done, instead of the image', await signed('restore=derain,strength=0.50,format=json'));
  await show('Without waiting', await signed('restore=derain,format=png'), { Prefer: 'respond-async' });
  await show('Changed after it was signed', short.replace('width=80', 'width=81'));
  await show('A source that is not allowed', await signed('restore=derain', 'https://elsewhere.example/rain.jpg'));
  await edge.drain();
  return `With the key \`k1:${'01'.repeat(32)}\`, without expiry, and a rainy photo of 160 × 106 at \`${SOURCE}\`.\n\n${shown.join('\n\n')}`;
}

async function rainyOrigin(): Promise<Source> {
  const photo = await readFile(new URL('../../cli/assets/rainy.jpg', import.meta.url));
  const bytes = new Uint8Array(await sharp(photo).resize(160).png().toBuffer());
  return {
    read: async () => ({
      state: 'found',
      body: new Blob([bytes]).stream(),
      size: bytes.length,
      revision: { etag: '"v1"' },
      pinned: false,
    }),
  };
}

const REASONS: Readonly<Record<number, string>> = { 200: 'OK', 202: 'Accepted', 403: 'Forbidden' };

/** Byte counts differ between versions of an encoder, times and the names of jobs with every run. */
async function told(response: Response): Promise<string> {
  const reason = REASONS[response.status];
  if (!reason) throw new Error(`An example got ${response.status}: ${await response.text()}`);
  const lines = [`${response.status} ${reason}`];
  for (const name of SHOWN) {
    const value = response.headers.get(name);
    if (value !== null) lines.push(`${name}: ${value.replaceAll(/fsz=\d+/g, 'fsz=…').replaceAll(JOB, '…')}`);
  }
  if (/json/.test(response.headers.get('content-type') ?? '')) {
    const { timings, ...body } = await response.json();
    if (timings) body.timings = Object.fromEntries(Object.keys(timings).map((span) => [span, 0]));
    const text = JSON.stringify(body, null, 2).replaceAll(/"bytes": \d+/g, '"bytes": …');
    lines.push(
      '',
      text
        .replaceAll(/: 0(,?\n)/g, ': …$1')
        .replaceAll(JOB, '…')
        .replaceAll(/"[0-9a-f]{64}"/g, '"…"'),
    );
  }
  return lines.join('\n');
}
