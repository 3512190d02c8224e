import { createRestorer, loadSharpCodec } from '@elfin/core/node';
import { composeEdge, createResultStore, parseTransform, readConfig } from '@elfin/edge';
import { createModels } from '@elfin/models/node';
import { createPrewarmStep, createTrigger, createUploadRestorer } from '@elfin/plugins';
import { createMemoryStore } from '@elfin/storage';
import { expect, test } from 'vitest';
import { smallPhoto } from '../helpers/photos.ts';

test('a photo restored on upload is there before the first URL asks for it, under the key that the URL means', async () => {
  const [photos, store, models, codec] = [
    createMemoryStore(),
    createMemoryStore(),
    createModels(),
    await loadSharpCodec(),
  ];
  await using restorer = createRestorer({ models, codec });
  const upload = createUploadRestorer({ restorer, codec, models });
  const trigger = createTrigger({
    rules: [{ prefix: 'incoming/', task: 'derain', format: 'webp', quality: 80, metadata: 'none' }],
    storage: () => photos,
    restorer: upload,
    steps: [
      createPrewarmStep({
        results: createResultStore(store),
        sourceName: ({ key }) => `r2://PHOTOS/${key}`,
        codec,
        restorer: upload,
      }),
    ],
  });
  const key = 'incoming/a b.jpg';
  await photos.put(key, await smallPhoto(1, key), { type: 'image/jpeg' });
  const event = { kind: 'created', name: 'Put', source: 'test', bucket: 'photos', key } as const;
  expect(await trigger.process(event)).toMatchObject({ status: 'restored' });

  const edge = composeEdge(readConfig({ ELFIN_URL_KEYS: `k1:${'0c'.repeat(32)}`, ELFIN_SOURCES: 'r2://PHOTOS' }), {
    codec,
    models,
    // Whoever asks it to restore has missed what is there.
    restorer: { restore: () => Promise.reject(new Error('The edge restores by itself.')) },
    store,
    r2: () => photos,
  });
  const ask = async (options: string) => {
    const transform = parseTransform(`${options}/${encodeURIComponent(`r2://PHOTOS/${key}`)}`);
    return edge.fetch(new Request(`http://edge.example${await edge.signer?.sign(transform)}`));
  };
  const answer = await ask('restore=derain,format=webp,quality=80');
  expect([answer.status, answer.headers.get('restore-status'), answer.headers.get('content-type')]).toEqual([
    200,
    'restored',
    'image/webp',
  ]);
  expect(answer.headers.get('elfin-info')).toContain('cache=revalidated');
  const { name } = await models.resolve('derain', 'lw');
  expect(answer.headers.get('elfin-info')).toContain(`rt=${name}`);
  const other = await ask('restore=derain,format=webp,quality=79');
  expect(other.headers.get('restore-status')).not.toBe('restored');
});
