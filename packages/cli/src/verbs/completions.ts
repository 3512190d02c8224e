import { type OptionHandler, RootCommand } from '@bomb.sh/tab';
import type { ArgDef } from 'citty';
import { COMMON, defineVerb, type Verb } from '../flags/command.ts';
import { printable } from '../io/printable.ts';
import { EXIT, usageError } from '../report/failure.ts';

const SHELLS = ['bash', 'zsh', 'fish', 'powershell'] as const;

/** Prints the script that teaches a shell the verbs and flags: they are asked of elfin itself at each Tab. */
export const completions = defineVerb({
  name: 'completions',
  description: 'Print the script that completes verbs and flags in your shell',
  args: { shell: { type: 'positional', description: SHELLS.join(', '), required: true } },
  examples: ['source <(elfin completions bash)', 'elfin completions fish > ~/.config/fish/completions/elfin.fish'],
  async run({ words }) {
    const [shell, more] = words;
    if (!SHELLS.some((name) => name === shell) || more !== undefined)
      throw usageError(`Name one shell: ${SHELLS.join(', ')}${shell ? `, not "${printable(words.join(' '))}"` : ''}.`);
    new RootCommand().setup('elfin', 'elfin', shell!);
    return EXIT.done;
  },
});

/** What a shell asks at Tab: `elfin complete -- <words>`. Only the verb that the words name is loaded, for its flags. */
export async function complete(
  words: readonly string[],
  verbs: Readonly<Record<string, { readonly about: string; readonly load: () => Promise<Verb> }>>,
): Promise<void> {
  const root = new RootCommand();
  for (const [name, { about, load }] of Object.entries(verbs)) {
    const command = root.command(name, about);
    if (words[0] !== name) continue;
    for (const [flag, def] of Object.entries<ArgDef>({ ...COMMON, ...(await load()).args })) {
      if (def.type === 'positional') continue;
      const offered = def.type === 'enum' ? (def.options ?? []) : [];
      const handler: OptionHandler = (offer) => {
        for (const word of offered) offer(String(word), '');
      };
      const alias = 'alias' in def ? [def.alias ?? []].flat().find((word) => word.length === 1) : undefined;
      const description = def.description ?? '';
      // A flag without a handler takes no value: the next word is then completed as a word of its own.
      if (def.type === 'boolean') command.option(flag, description, alias);
      else command.option(flag, description, handler, alias);
    }
  }
  root.parse([...words]);
}
