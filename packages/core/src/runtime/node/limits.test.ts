import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { processLimits } from './limits.ts';

const roots: string[] = [];
afterEach(() => Promise.all(roots.splice(0).map((root) => rm(root, { recursive: true }))));

/** A machine whose files say this, as the kernel writes them. */
async function machine(files: Readonly<Record<string, string>>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'elfin-limits-'));
  roots.push(root);
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), `${text}\n`);
  }
  return root;
}

const half = { threads: 1, quota: 0.5 };
const none = { threads: availableParallelism(), quota: undefined };

test.each([
  ['no cgroups', {}, none],
  ['a container, version 2', { 'proc/self/cgroup': '0::/', 'sys/fs/cgroup/cpu.max': '50000 100000' }, half],
  ['no quota, version 2', { 'proc/self/cgroup': '0::/', 'sys/fs/cgroup/cpu.max': 'max 100000' }, none],
  [
    'a quota further up, version 2',
    {
      'proc/self/cgroup': '0::/kubepods/pod1/box',
      'sys/fs/cgroup/kubepods/pod1/box/cpu.max': 'max 100000',
      'sys/fs/cgroup/kubepods/pod1/cpu.max': '50000 100000',
    },
    half,
  ],
  [
    'version 1',
    {
      'proc/self/cgroup': '5:memory:/docker/a\n4:cpu,cpuacct:/docker/a',
      'sys/fs/cgroup/cpu/docker/a/cpu.cfs_quota_us': '50000',
      'sys/fs/cgroup/cpu/docker/a/cpu.cfs_period_us': '100000',
    },
    half,
  ],
  [
    'no quota, version 1',
    {
      'proc/self/cgroup': '4:cpu,cpuacct:/',
      'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1',
      'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000',
    },
    none,
  ],
  ['more than there is', { 'proc/self/cgroup': '0::/', 'sys/fs/cgroup/cpu.max': '999900000 100000' }, none],
])('%s', async (_, files, expected) => {
  expect(processLimits(await machine(files))).toMatchObject(expected);
});

test('this very process', () => {
  const { threads, memory } = processLimits();
  expect(threads).toBeGreaterThanOrEqual(1);
  expect(memory).toBeGreaterThan(2 ** 20);
});
