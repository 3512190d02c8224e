// A crowd for one cold URL: 1,000 requests at once, spread over four `elfin serve` processes that share a folder of results.
// Run: node --conditions=@elfin/source bench/edge/cold.ts [--requests 1000] [--processes 4]
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createSigner, parseTransform, parseUrlKeys } from '@elfin/edge';
import { type ElfinProcess, startElfin } from '../../test/helpers/elfin-process.ts';

const { values } = parseArgs({
  options: { requests: { type: 'string', default: '1000' }, processes: { type: 'string', default: '4' } },
});
const requests = Number(values.requests);
const keys = `k1:${'0c'.repeat(32)}`;
const folder = await mkdtemp(join(tmpdir(), 'elfin-cold-'));
await mkdir(join(folder, 'photos'));
await cp(new URL('../../packages/cli/assets/rainy.jpg', import.meta.url), join(folder, 'photos/rain.jpg'));
const servers: ElfinProcess[] = [];
try {
  for (let i = 0; i < Number(values.processes); i++) {
    const env = { ELFIN_URL_KEYS: keys, ELFIN_STORE: join(folder, 'results'), ELFIN_DEADLINE_MS: '300000' };
    servers.push(await startElfin(['serve', join(folder, 'photos'), '--port', '0'], env));
  }
  const path = await createSigner({ keys: parseUrlKeys(keys) }).sign(
    parseTransform('restore=derain,format=webp,pending=wait/rain.jpg'),
  );
  const answers = await Promise.all(
    Array.from({ length: requests }, async (_, i) => {
      const response = await fetch(servers[i % servers.length]?.url + path);
      const bytes = Buffer.from(await response.arrayBuffer()).toString('base64');
      return { told: `${response.status} ${response.headers.get('restore-status')}`, bytes };
    }),
  );
  let inferences = 0;
  for (const { url } of servers) {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    inferences += Number(/elfin_span_duration_seconds_count\{span="infer"\} (\d+)/.exec(metrics)?.[1] ?? 0);
  }
  const [answered, bodies] = [new Set(answers.map(({ told }) => told)), new Set(answers.map(({ bytes }) => bytes))];
  console.log({ requests, processes: servers.length, inferences, answered: [...answered], bodies: bodies.size });
  process.exitCode = inferences === 1 && bodies.size === 1 && [...answered].join() === '200 restored' ? 0 : 1;
} finally {
  await Promise.all(servers.map((server) => server.stop()));
  await rm(folder, { recursive: true });
}
