import { ElfinError } from '@elfin/core';
import { createSigner, parseTransform, readConfig } from '@elfin/edge';
import { defineVerb, numberFlag } from '../flags/command.ts';
import { EXIT, usageError } from '../report/failure.ts';

/** A signed transform URL. */
export const sign = defineVerb({
  name: 'sign',
  description: 'Sign a transform URL with the first key of ELFIN_URL_KEYS',
  args: {
    options: { type: 'positional', description: 'For example restore=derain,width=1200', required: true },
    source: { type: 'positional', description: 'URL, path, s3://bucket/key or r2://binding/key', required: true },
    ttl: { type: 'string', valueHint: 'seconds', description: 'How long the URL stays valid (default: for ever)' },
    base: { type: 'string', valueHint: 'URL', description: 'Put this before the path' },
  },
  examples: ['elfin sign restore=derain,width=1200,format=auto https://origin.example/rain.jpg --ttl 86400'],
  async run({ args, words }) {
    const [options, source, ...more] = words;
    if (options === undefined || source === undefined || more.length > 0)
      throw usageError('sign takes options and one source.');
    const { ELFIN_URL_KEYS: keys, ELFIN_PREFIX: prefix } = readConfig(process.env);
    if (!keys)
      throw new ElfinError(
        'CONFIG_INVALID',
        'ELFIN_URL_KEYS is not set: <id>:<hex>; make one with "openssl rand -hex 32".',
      );
    const ttl = numberFlag('ttl', args.ttl, { min: 1, max: 1e9 });
    const signer = createSigner({ keys, ...(prefix && { prefix }) });
    const path = await signer.sign(
      parseTransform(`${options}/${encodeURIComponent(source)}`),
      ttl === undefined ? {} : { ttl },
    );
    const url = `${(args.base ?? '').replace(/\/$/, '')}${path}`;
    process.stdout.write(args.json ? `${JSON.stringify({ url })}\n` : `${url}\n`);
    return EXIT.done;
  },
});
