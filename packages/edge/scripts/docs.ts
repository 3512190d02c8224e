// Fills the generated sections of docs/urls.md and docs/deploy.md; run: node --conditions=@elfin/source packages/edge/scripts/docs.ts
import { readFile, writeFile } from 'node:fs/promises';
import { generated } from './sections.ts';

for (const [path, document] of await generated((path) =>
  readFile(new URL(`../../../${path}`, import.meta.url), 'utf8'),
)) {
  await writeFile(new URL(`../../../${path}`, import.meta.url), document);
}
