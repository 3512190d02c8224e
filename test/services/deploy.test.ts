import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { COMPOSE, goBinary } from './helpers/binary.ts';
import { python } from './helpers/python.ts';

const run = promisify(execFile);
const repository = new URL('../../', import.meta.url).pathname;
const inRepository = { cwd: repository, maxBuffer: 16 * 1024 * 1024 };

it('the SAM template has nothing that cfn-lint objects to, which does object to a spoilt one', async () => {
  const lint = join(dirname(await python('cfn-lint', ['cfn-lint==1.58.0'])), 'cfn-lint');
  // Warnings and advice, too, end it with another code than 0, which is an error here.
  const strictly = ['--non-zero-exit-code', 'informational'];
  await run(lint, [...strictly, 'apps/lambda/template.yaml'], inRepository);
  const folder = await mkdtemp(join(tmpdir(), 'elfin-sam-'));
  const template = await readFile(join(repository, 'apps/lambda/template.yaml'), 'utf8');
  const spoilt = join(folder, 'template.yaml');
  await writeFile(spoilt, template.replace('!GetAtt DeadLetters.Arn', '!GetAtt DeadLetter.Arn'));
  await expect(run(lint, [...strictly, spoilt])).rejects.toMatchObject({
    stdout: expect.stringContaining('DeadLetter'),
  });
  await rm(folder, { recursive: true });
});

it('wrangler reads the configuration of the uploads Worker, builds and packs it, and has nothing to say against it', async () => {
  const words = ['deploy', '--dry-run', '-c', 'apps/cloudflare/uploads.toml'];
  const quiet = { ...process.env, WRANGLER_SEND_METRICS: 'false', CI: '1' };
  const { stdout, stderr } = await run('npx', ['wrangler', ...words], { ...inRepository, env: quiet });
  expect(`${stdout}${stderr}`).not.toMatch(/WARNING|ERROR/);
  expect(stdout).toMatch(/env\.PHOTOS \(elfin-photos\)\s+R2 Bucket/);
  // Cloudflare takes 10 MB, compressed.
  const size = Number(/gzip: ([\d.]+) KiB/.exec(stdout)?.[1]);
  expect(size).toBeGreaterThan(1000);
  expect(size).toBeLessThan(10_000);
});

it('the compose file is read by the very loader of docker compose, every reference of it resolved', async () => {
  const folder = new URL('../../apps/minio/', import.meta.url).pathname;
  const { stdout } = await run(await goBinary(COMPOSE), ['--format', 'json', 'compose.yaml'], { cwd: folder });
  const { services } = JSON.parse(stdout);
  expect(Object.keys(services).sort()).toEqual(['bucket', 'elfin', 'minio']);
  // One secret on both ends, and the checkout where its command is run.
  expect(services.minio.environment.MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_elfin).toBe(
    services.elfin.environment.ELFIN_WEBHOOK_SECRET,
  );
  expect(services.elfin.volumes[0]).toMatchObject({
    source: repository.slice(0, -1),
    target: services.elfin.working_dir,
  });
});
