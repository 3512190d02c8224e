// Damaged, hostile and random URLs: every answer is a 4xx with a code, or a good URL's own.
// Run: node --conditions=@elfin/source bench/edge/fuzz.ts [--cases 100000] [--seed 1]
import { parseArgs } from 'node:util';
import { fuzz } from '../../test/helpers/fuzz-urls.ts';

const { values } = parseArgs({
  options: { cases: { type: 'string', default: '100000' }, seed: { type: 'string', default: '1' } },
});
const report = await fuzz({ cases: Number(values.cases), seed: Number(values.seed) });
console.log(report);
process.exitCode = report.bad.length === 0 ? 0 : 1;
