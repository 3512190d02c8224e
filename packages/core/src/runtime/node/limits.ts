import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';

/** What this process may use, of what the machine has. */
export interface ProcessLimits {
  /** Threads that can run at once. */
  readonly threads: number;
  /** Processors that a container's quota pays for, such as 1.5; undefined where there is none below the machine's. */
  readonly quota?: number | undefined;
  /** Bytes of memory. */
  readonly memory: number;
  /** `memory` is a container's limit, below what the machine has. */
  readonly constrained: boolean;
}

/**
 * The limits of this process: the machine's, or those of the cgroup that it is in (Docker's `--cpus` and `--memory`, Kubernetes'
 * limits). Node before 22.12 counts processors that the quota does not pay for; their threads would be held up in turn.
 *
 * @example
 * ```ts
 * import { processLimits } from '@elfin/core/node';
 *
 * const { threads, memory } = processLimits();
 * console.log(`${threads} threads, ${(memory / 2 ** 30).toFixed(1)} GiB`);
 * ```
 */
export function processLimits(root = '/'): ProcessLimits {
  const processors = availableParallelism();
  const paid = cpuQuota(root);
  const quota = paid !== undefined && paid < processors ? paid : undefined;
  // 0 or some 2^63 where there is no limit.
  const limit = process.constrainedMemory?.() ?? 0;
  const constrained = limit > 0 && limit < totalmem();
  return {
    threads: quota === undefined ? processors : Math.max(1, Math.ceil(quota)),
    quota,
    memory: constrained ? limit : totalmem(),
    constrained,
  };
}

/** Processors' worth of time: the least of the process' own cgroup and those around it, in version 2 or 1 of the interface. */
function cpuQuota(root: string): number | undefined {
  const quotas: number[] = [];
  for (const line of read(join(root, 'proc/self/cgroup'))?.split('\n') ?? []) {
    const [, controllers, path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const parts = path.split('/').filter(Boolean);
    for (let depth = parts.length; depth >= 0; depth -= 1) {
      const inside = parts.slice(0, depth);
      if (controllers === '') {
        const [time, period] = read(join(root, 'sys/fs/cgroup', ...inside, 'cpu.max'))?.split(' ') ?? [];
        quotas.push(Number(time) / Number(period));
      } else if (controllers?.split(',').includes('cpu')) {
        const folder = join(root, 'sys/fs/cgroup/cpu', ...inside);
        const time = Number(read(join(folder, 'cpu.cfs_quota_us')));
        quotas.push(time / Number(read(join(folder, 'cpu.cfs_period_us'))));
      }
    }
  }
  const given = quotas.filter((quota) => quota > 0 && quota < Number.POSITIVE_INFINITY);
  return given.length > 0 ? Math.min(...given) : undefined;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
