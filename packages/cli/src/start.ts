import { fileURLToPath } from 'node:url';
import { runVerb } from './flags/command.ts';
import { joinRepeatedSignals } from './repeats.ts';
import { restore } from './verbs/restore.ts';

// What `npm start` does: `elfin restore` of the bundled rainy photo, or of the photos named behind `--`, into ./restored,
// with a picture of before and after; its flags work too.
const bundled = fileURLToPath(new URL('../assets/rainy.jpg', import.meta.url));
// npm runs scripts from the package's folder; names are meant from where it was called.
if (process.env.INIT_CWD) process.chdir(process.env.INIT_CWD);
joinRepeatedSignals();
process.exitCode = await runVerb(
  {
    ...restore,
    run: ({ args, words }) =>
      restore.run({
        args: { ...args, output: args.output ?? 'restored/', compare: args.compare ?? true, force: args.force ?? true },
        words: words.length > 0 ? words : [bundled],
      }),
  },
  process.argv.slice(2),
);
