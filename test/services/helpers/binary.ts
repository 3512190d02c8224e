import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Where built servers are kept between runs: they take minutes to build and never change for one version. */
export const cacheFolder = () => join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'elfin', 'bin');

/** A Go program, named by module path and the exact version that the tests speak to. */
export interface GoProgram {
  /** What `go install` calls it. */
  readonly name: string;
  /** What it is kept as, where its own name says nothing. */
  readonly label?: string;
  readonly module: string;
  readonly version: string;
}

export const VERSITYGW: GoProgram = {
  name: 'versitygw',
  module: 'github.com/versity/versitygw/cmd/versitygw',
  version: 'v1.8.0',
};

export const MINIO: GoProgram = {
  name: 'minio',
  module: 'github.com/minio/minio',
  version: 'v0.0.0-20260212201848-7aac2a2c5b7c',
};

/** The loader of docker compose, as a program that prints the model it read. */
export const COMPOSE: GoProgram = {
  name: 'cmd',
  label: 'compose',
  module: 'github.com/compose-spec/compose-go/v2/cmd',
  version: 'v2.16.2',
};

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

/**
 * The path of a built server; builds it with `go install` on first use (versitygw about 80 s, MinIO 5 to 9 minutes).
 * @throws with the compiler's words where Go is missing or the build fails.
 */
export async function goBinary(program: GoProgram): Promise<string> {
  const target = join(cacheFolder(), `${program.label ?? program.name}-${program.version}`);
  if (await exists(target)) return target;
  await mkdir(cacheFolder(), { recursive: true });
  const folder = await mkdtemp(join(tmpdir(), 'elfin-go-'));
  try {
    await run('go', ['install', '-trimpath', '-ldflags', '-s -w', `${program.module}@${program.version}`], {
      env: { ...process.env, GOBIN: folder, CGO_ENABLED: '0' },
      maxBuffer: 64 * 1024 * 1024,
    });
    // Built beside and moved in one step: two test runs at once never see half a binary.
    await rename(join(folder, program.name), target).catch(async () => {
      const { copyFile, chmod } = await import('node:fs/promises');
      const beside = `${target}.${process.pid}`;
      await copyFile(join(folder, program.name), beside);
      await chmod(beside, 0o755);
      await rename(beside, target);
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return target;
}
