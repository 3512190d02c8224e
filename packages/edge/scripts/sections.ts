import { createSigner } from '../src/sign.ts';
import { parseTransform } from '../src/url.ts';
import { fillSection, optionsTable, variablesTable } from './tables.ts';

const SOURCE = 'https://origin.example/rain.jpg';

/** Signed examples, made by the signer itself under a key that everybody knows: whoever writes another one can check it. */
async function examples(): Promise<string> {
  const signer = createSigner({ keys: [{ id: 'k1', secret: new Uint8Array(32).fill(1) }] });
  const urls = await Promise.all(
    [
      'restore=derain',
      'w=1200,restore=derain,f=auto',
      'restore=lowlight,strength=0.50,format=webp',
      'preset=thumb',
    ].map(async (options) => {
      const path = `${options}/${encodeURIComponent(SOURCE)}`;
      return `${options}\n  ${await signer.sign(parseTransform(path))}`;
    }),
  );
  return `With the key \`k1:${'01'.repeat(32)}\` and without expiry:\n\n\`\`\`\n${urls.join('\n')}\n\`\`\``;
}

/** The documents with generated sections, filled. `read` gives a document by its path in the repository. */
export async function generated(read: (path: string) => Promise<string>): Promise<Map<string, string>> {
  const urls = fillSection(await read('docs/urls.md'), 'options', optionsTable());
  const deploy = fillSection(await read('docs/deploy.md'), 'variables', variablesTable());
  return new Map([
    ['docs/urls.md', fillSection(urls, 'examples', await examples())],
    ['docs/deploy.md', deploy],
  ]);
}
