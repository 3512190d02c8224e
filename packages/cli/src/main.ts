import { runCli } from './cli.ts';
import { joinRepeatedSignals } from './repeats.ts';

joinRepeatedSignals();
process.exitCode = await runCli(process.argv.slice(2));
