// Fills the table of rules in docs/plugins.md; run: node --conditions=@elfin/source packages/plugins/scripts/docs.ts
import { readFile, writeFile } from 'node:fs/promises';
import { withRulesTable } from './rules-table.ts';

const docs = new URL('../../../docs/plugins.md', import.meta.url);
await writeFile(docs, withRulesTable(await readFile(docs, 'utf8')));
