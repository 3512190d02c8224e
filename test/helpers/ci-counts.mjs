// Prints `N passed, N failed` from vitest's JSON report. A missing report or a skipped test is a failure in itself.
import { readFileSync } from 'node:fs';

const path = process.argv[2];
let report;
try {
  report = JSON.parse(readFileSync(path, 'utf8'));
} catch (error) {
  console.error(`No readable test report at ${path}: ${error.message}`);
  console.log('0 passed, 1 failed');
  process.exit(1);
}
const failedFiles = report.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0);
const failed = report.numFailedTests + failedFiles.length;
const skipped = report.numPendingTests + report.numTodoTests;
if (skipped > 0) console.error(`${skipped} tests were skipped; CI accepts none.`);
console.log(`${report.numPassedTests} passed, ${failed + skipped} failed`);
process.exit(failed + skipped === 0 && report.success ? 0 : 1);
