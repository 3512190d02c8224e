import { purge as forget, readConfig } from '@elfin/edge';
import { openResultStore } from '@elfin/edge/node';
import { defineVerb } from '../flags/command.ts';
import { EXIT, usageError } from '../report/failure.ts';

/** Makes the server ask sources again, in the store that ELFIN_STORE names. */
export const purge = defineVerb({
  name: 'purge',
  description: 'Forget the results of a transform URL, of a source, or of all sources with a prefix (ending in *)',
  args: {
    what: { type: 'positional', description: 'A transform URL, a source, or a prefix ending in *', required: true },
  },
  examples: ['elfin purge https://origin.example/rain.jpg', 'elfin purge "https://origin.example/2026/*"'],
  async run({ args, words }) {
    const [what, ...more] = words;
    if (what === undefined || more.length > 0) throw usageError('purge takes one URL, source or prefix.');
    const { ELFIN_PREFIX: prefix } = readConfig(process.env);
    const forgotten = await forget(openResultStore(), what, prefix);
    process.stdout.write(args.json ? `${JSON.stringify({ forgotten })}\n` : `${forgotten} forgotten\n`);
    return EXIT.done;
  },
});
