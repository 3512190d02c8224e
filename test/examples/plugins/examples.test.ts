import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assertConditionalWrites, createTrigger, parseEnvelope } from '@elfin/plugins';
import { createMemoryStore } from '@elfin/storage';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { cheapRestorer, contentOf, upload } from '../../helpers/upload.ts';
import { shop } from './source.ts';
import { thumbnail } from './step.ts';
import { createFolderStorage } from './storage.ts';
import { createShopTrigger } from './trigger.ts';

const here = new URL('./', import.meta.url);

describe('the examples of docs/plugins.md', () => {
  it.each(['storage', 'source', 'step', 'trigger'])('%s.ts stands there word for word', async (name) => {
    const docs = await readFile(new URL('../../../docs/plugins.md', here), 'utf8');
    const code = await readFile(new URL(`./${name}.ts`, here), 'utf8');
    expect(docs.includes(`\`\`\`ts\n${code}\`\`\``)).toBe(true);
  });

  it('storage: a folder does for a trigger', async () => {
    const root = await mkdtemp(join(tmpdir(), 'elfin-folder-'));
    const store = createFolderStorage(root);
    await assertConditionalWrites(store, '.elfin/claims/');
    const trigger = createTrigger({
      rules: [{ prefix: 'incoming/', task: 'derain' }],
      storage: () => store,
      restorer: cheapRestorer(),
    });
    const event = await upload(store, 'incoming/a b.jpg', 'photo');
    expect(await trigger.process(event)).toMatchObject({ status: 'restored' });
    expect(await trigger.process(event)).toMatchObject({ status: 'done' });
    const [result] = (await store.list('restored/')).objects;
    expect(await contentOf(store, result!.key)).toBe('restored jpeg: photo');
    await rm(root, { recursive: true });
  });

  it('source: reads every upload of a message, or says what is wrong with it', () => {
    const items = parseEnvelope({ shop: '1', uploaded: ['incoming/a.jpg', 7] }, [shop]);
    expect(items).toMatchObject([{ event: { key: 'incoming/a.jpg' } }, { error: { code: 'EVENT_INVALID' } }]);
    expect(parseEnvelope({ shop: '1', uploaded: 'all' }, [shop])).toMatchObject([{ error: { code: 'EVENT_INVALID' } }]);
  });

  it('step: writes a thumbnail that is not restored in turn', async () => {
    const store = createMemoryStore();
    const trigger = createTrigger({
      rules: [{ prefix: 'incoming/', task: 'derain' }],
      storage: () => store,
      restorer: { ...cheapRestorer(), restoreBytes: async (bytes) => ({ bytes }) },
      steps: [thumbnail],
    });
    const create = { width: 800, height: 600, channels: 3, background: '#345' } as const;
    const photo = await sharp({ create }).jpeg().toBuffer();
    const put = await store.put('incoming/a.jpg', photo, { type: 'image/jpeg' });
    const { etag } = put as { etag: string };
    const event = {
      kind: 'created',
      name: 'Put',
      source: 'test',
      bucket: 'photos',
      key: 'incoming/a.jpg',
      etag,
    } as const;
    expect(await trigger.process(event)).toMatchObject({ status: 'restored' });
    const head = await store.head('thumbnails/incoming/a.jpg.webp');
    expect(head).toMatchObject({ type: 'image/webp', metadata: { 'elfin-source': etag } });
  });

  it('trigger: is valid as it stands', () => {
    expect(createShopTrigger().rules).toMatchObject([{ prefix: 'incoming/', model: 'lw' }]);
  });
});
