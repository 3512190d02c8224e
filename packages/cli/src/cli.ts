import { readFileSync } from 'node:fs';
import { closestName, ElfinError } from '@elfin/core';
import { runVerb, type Verb } from './flags/command.ts';
import { printable } from './io/printable.ts';
import { EXIT, type ExitCode, printFailure, usageError } from './report/failure.ts';

/** Every verb, loaded only when it is called: `elfin --help` needs no runtime. */
const VERBS: Readonly<Record<string, { readonly about: string; readonly load: () => Promise<Verb> }>> = {
  restore: { about: 'Restore photos', load: async () => (await import('./verbs/restore.ts')).restore },
  classify: {
    about: 'Tell what --task auto would restore photos from',
    load: async () => (await import('./verbs/classify.ts')).classify,
  },
  eval: {
    about: 'Measure PSNR and SSIM against targets, or UIQM and UCIQE without',
    load: async () => (await import('./verbs/eval.ts')).evaluate,
  },
  inspect: {
    about: 'Show what a preset, a model or an ONNX file consists of',
    load: async () => (await import('./verbs/inspect.ts')).inspect,
  },
  export: {
    about: 'Write a model as ONNX or as a Triton model repository',
    load: async () => (await import('./verbs/export.ts')).exportVerb,
  },
  import: {
    about: 'Turn a checkpoint into a model folder',
    load: async () => (await import('./verbs/import.ts')).importVerb,
  },
  serve: {
    about: 'Restore photos by URL, on this machine',
    load: async () => (await import('./verbs/serve.ts')).serve,
  },
  worker: {
    about: 'Restore for others, tiles and images (Open Inference Protocol v2)',
    load: async () => (await import('./verbs/worker.ts')).worker,
  },
  watch: {
    about: 'Restore on upload, told by a webhook or by a queue of SQS',
    load: async () => (await import('./verbs/watch.ts')).watch,
  },
  backfill: {
    about: 'Restore what lies in a bucket already',
    load: async () => (await import('./verbs/backfill.ts')).backfill,
  },
  redrive: {
    about: 'Try again what was set aside: dead letters, quarantine',
    load: async () => (await import('./verbs/redrive.ts')).redrive,
  },
  sign: { about: 'Sign a transform URL', load: async () => (await import('./verbs/sign.ts')).sign },
  purge: {
    about: 'Forget results, so that sources are asked again',
    load: async () => (await import('./verbs/purge.ts')).purge,
  },
  completions: {
    about: 'Teach your shell the verbs and flags',
    load: async () => (await import('./verbs/completions.ts')).completions,
  },
  doctor: {
    about: 'Check what this machine restores photos on',
    load: async () => (await import('./verbs/doctor.ts')).doctor,
  },
};

/** Runs `elfin <verb> …` and answers the exit code: 0 all done, 1 some inputs failed, 2 wrong usage or configuration. */
export async function runCli(argv: readonly string[]): Promise<ExitCode> {
  const [word, ...rest] = argv;
  if (word === undefined || word === '--help' || word === '-h' || word === 'help') {
    process.stdout.write(overview());
    return word === undefined ? EXIT.usage : EXIT.done;
  }
  if (word === '--version' || word === '-v') {
    process.stdout.write(`${version()}\n`);
    return EXIT.done;
  }
  if (word === 'complete' && rest[0] === '--') {
    await (await import('./verbs/completions.ts')).complete(rest.slice(1), VERBS);
    return EXIT.done;
  }
  const verb = Object.hasOwn(VERBS, word) ? VERBS[word] : undefined;
  if (!verb) {
    printFailure(usageError(unknownVerb(word)), {
      debug: false,
    });
    return EXIT.usage;
  }
  try {
    await verb.load();
  } catch (error) {
    printFailure(missingSdk(error, word), { debug: false });
    return EXIT.usage;
  }
  return runVerb(await verb.load(), rest);
}

/** Amazon's SDK, which is large, is installed by those alone who work on buckets. Anything else that is missing is a fault: thrown. */
function missingSdk(cause: unknown, verb: string): ElfinError {
  const { code, message = '' } = cause as { code?: string; message?: string };
  if (code !== 'ERR_MODULE_NOT_FOUND' || !message.includes("'@aws-sdk/")) throw cause;
  return new ElfinError(
    'RUNTIME_UNAVAILABLE',
    `elfin ${verb} works on buckets with Amazon's SDK, which is not installed; run: npm install @aws-sdk/client-s3 @aws-sdk/client-sqs`,
    { cause },
  );
}

function unknownVerb(word: string): string {
  const near = closestName(word, Object.keys(VERBS));
  const name = printable(word);
  if (near) return `There is no verb "${name}": did you mean elfin ${near}?`;
  // A photo as the first word is what people try first.
  if (/[./\\]/.test(word)) return `There is no verb "${name}": to restore it, say elfin restore ${name}.`;
  return `There is no verb "${name}": it is one of ${Object.keys(VERBS).join(', ')}.`;
}

function overview(): string {
  const lines = Object.entries(VERBS).map(([name, { about }]) => `  ${name.padEnd(13)}${about}\n`);
  return [
    'elfin restores degraded photos: rain, low light, underwater.\n\n',
    'USAGE  elfin <verb> [flags]\n\n',
    ...lines,
    '\nelfin <verb> --help tells more.\nExit codes: 0 all done, 1 some inputs failed, 2 wrong usage or configuration,\n130 and 143 interrupted.\n',
  ].join('');
}

/** The same place from the sources and from the bundle: one folder up is the package. */
function version(): string {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version;
}
