import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const run = promisify(execFile);
const main = fileURLToPath(new URL('main.ts', import.meta.url));

// As where the package is installed and its optional peers are not: what Node says of a package that is not there.
const WITHOUT_SDK = `
  import { registerHooks } from 'node:module';
  registerHooks({
    resolve(specifier, context, next) {
      if (!specifier.startsWith('@aws-sdk/')) return next(specifier, context);
      throw Object.assign(new Error(\`Cannot find package '\${specifier}'\`), { code: 'ERR_MODULE_NOT_FOUND' });
    },
  });
`;

test.each(['watch', 'backfill'])('elfin %s without Amazon’s SDK says in one line what to install', async (verb) => {
  const flags = ['--conditions=@elfin/source', '--import', `data:text/javascript,${encodeURIComponent(WITHOUT_SDK)}`];
  const failed = await run(process.execPath, [...flags, main, verb, 's3://photos/'], {}).catch((error) => error);
  expect({ code: failed.code, stdout: failed.stdout, stderr: failed.stderr }).toEqual({
    code: 2,
    stdout: '',
    stderr: expect.stringMatching(
      new RegExp(
        `^elfin: elfin ${verb} works on buckets [^\\n]+ npm install @aws-sdk/client-s3 [^\\n]+ \\[RUNTIME_UNAVAILABLE\\]\\n$`,
      ),
    ),
  });
});
