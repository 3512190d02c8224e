import { S3Client } from '@aws-sdk/client-s3';
import { createNodeRuntime, createRestorer } from '@elfin/core/node';
import { createSharpCodec } from '@elfin/core/sharp';
import { createModels } from '@elfin/models/node';
import { createTrigger, createUploadRestorer } from '@elfin/plugins';
import { createClientStore } from '@elfin/storage/aws';
import { shop } from './source.ts';
import { thumbnail } from './step.ts';

export function createShopTrigger(client: S3Client = new S3Client({})) {
  const models = createModels();
  const codec = createSharpCodec();
  const restorer = createRestorer({ models, codec, runtime: createNodeRuntime() });
  const photos = createClientStore({ client, bucket: 'photos' });
  return createTrigger({
    rules: [{ prefix: 'incoming/', task: 'derain', alias: 'latest/{key}' }],
    storage: (bucket) => (bucket === 'photos' ? photos : undefined),
    restorer: createUploadRestorer({ restorer, codec, models }),
    sources: [shop],
    steps: [thumbnail],
  });
}
