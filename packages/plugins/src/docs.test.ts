import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { withRulesTable } from '../scripts/rules-table.ts';

it('the table of rules in docs/plugins.md is the one that runs', async () => {
  const docs = await readFile(new URL('../../../docs/plugins.md', import.meta.url), 'utf8');
  expect(docs, 'run node --conditions=@elfin/source packages/plugins/scripts/docs.ts').toBe(withRulesTable(docs));
});
