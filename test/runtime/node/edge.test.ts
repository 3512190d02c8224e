import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSharpCodec } from '@elfin/core/node';
import { createFolderStore } from '@elfin/edge/node';
import { afterAll } from 'vitest';
import { edgeProgram } from '../edge-program.ts';

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

edgeProgram('Node', {
  codec: await loadSharpCodec(),
  background: 'process',
  async store() {
    const root = await mkdtemp(join(tmpdir(), 'elfin-edge-'));
    folders.push(root);
    return createFolderStore({ root });
  },
});
