import { createNodeRuntime } from '@elfin/core/node';
import { createLambdaEdge } from '@elfin/edge/lambda';
import { createModels } from '@elfin/models/node';

/**
 * Transform URLs behind a function URL, API Gateway or ALB: `handler/edge.handler`. Configuration is `ELFIN_*`, see
 * docs/deploy.md; `ELFIN_STORE` names a bucket, since a sandbox keeps nothing.
 */
export const { handler } = createLambdaEdge({
  models: createModels(),
  // The network runs in this thread: the bundle is one file, and a sandbox has nothing else to do meanwhile.
  runtime: createNodeRuntime({ device: 'cpu', thread: false }),
});
