import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSharpCodec } from '@elfin/core/node';
import { createFolderStore } from '@elfin/storage/node';
import { afterAll, describe } from 'vitest';
import { testFailures } from '../edge/failures.ts';
import { testPending } from '../edge/pending.ts';
import { type Runtime, type Scene, setUpEdge } from '../edge/set-up.ts';
import { edgeProgram } from '../edge-program.ts';

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true, maxRetries: 10 }))));

const runtime: Runtime = {
  codec: await loadSharpCodec(),
  background: 'process',
  async store() {
    const root = await mkdtemp(join(tmpdir(), 'elfin-edge-'));
    folders.push(root);
    return createFolderStore({ root });
  },
};

edgeProgram('Node', runtime);

describe('edge in Node with a queue, as on Lambda', () => {
  const queueing: Runtime = { ...runtime, background: 'queue' };
  const scene: Scene = { ...queueing, setUp: (options = {}) => setUpEdge(queueing, options) };
  testPending(scene);
  testFailures(scene);
});
