import { setTimeout as sleep } from 'node:timers/promises';
import { type ElfinProcess, startElfin } from '../../../test/helpers/elfin-process.ts';

/** `elfin worker` processes that are killed in turn, in the middle of whatever they do, and started again where they were. */
export async function startWorkers(count: number) {
  const start = (port: string) => startElfin(['worker', '--port', port, '--device', 'cpu', '--threads', '1']);
  const workers: ElfinProcess[] = await Promise.all(Array.from({ length: count }, () => start('0')));
  const urls = workers.map(({ url }) => url);
  return {
    urls,
    /** Kills one every `ms`; `end` resolves to how many were, once all are up again. */
    killEvery(ms: number) {
      let kills = 0;
      let over = false;
      const loop = (async () => {
        for (let turn = 0; !over; turn++) {
          await sleep(ms);
          if (over) break;
          const victim = turn % count;
          await workers[victim]?.stop('SIGKILL');
          kills += 1;
          await sleep(300);
          workers[victim] = await start(new URL(urls[victim] as string).port);
        }
      })();
      return {
        async end() {
          over = true;
          await loop;
          return kills;
        },
      };
    },
    stop: () => Promise.all(workers.map((worker) => worker.stop())),
  };
}
