import { examples } from './examples.ts';
import { fillSection, optionsTable, variablesTable } from './tables.ts';

/** The documents with generated sections, filled. `read` gives a document by its path in the repository. */
export async function generated(read: (path: string) => Promise<string>): Promise<Map<string, string>> {
  const urls = fillSection(await read('docs/urls.md'), 'options', optionsTable());
  const deploy = fillSection(await read('docs/deploy.md'), 'variables', variablesTable());
  return new Map([
    ['docs/urls.md', fillSection(urls, 'examples', await examples())],
    ['docs/deploy.md', deploy],
  ]);
}
