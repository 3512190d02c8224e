import { z } from 'zod';
import {
  compact,
  decodeFormKey,
  type EventSource,
  type Item,
  invalid,
  isRecord,
  readBy,
  type UploadEvent,
} from './event.ts';

const Task = z.looseObject({
  taskId: z.string().min(1),
  s3Key: z.string().min(1),
  s3VersionId: z.string().nullish(),
  s3BucketArn: z.string().optional(),
  s3Bucket: z.string().optional(),
});

/** The bucket by name (schema 2.0) or out of its ARN (schema 1.0). */
function bucketOf(task: z.infer<typeof Task>): string | undefined {
  return task.s3Bucket || task.s3BucketArn?.split(':').at(-1)?.split('/').at(-1) || undefined;
}

/**
 * An S3 Batch Operations job that invokes Lambda, invocation schema 1.0 and 2.0. A task names an object that is there
 * already; it counts as created. Each item's `id` is the task's, for the answer's `results[]`.
 */
export const batchOperations: EventSource = {
  name: 'batch-operations',
  is: (value) => isRecord(value) && typeof value.invocationSchemaVersion === 'string' && Array.isArray(value.tasks),
  parse(value, path) {
    const { invocationSchemaVersion: version, tasks } = value as { invocationSchemaVersion: string; tasks: unknown[] };
    if (version !== '1.0' && version !== '2.0') {
      const at = `${path}.invocationSchemaVersion`;
      // One item a task, so that every task is answered for.
      const many = tasks.length > 0 ? tasks : [undefined];
      return many.map((task) => ({
        ...invalid('batch-operations', at, `${version} is not 1.0 or 2.0`, idOf(task)),
        path: at,
      }));
    }
    return tasks.map((task, index) => parseTask(task, `${path}.tasks[${index}]`));
  },
};

const idOf = (task: unknown) => (isRecord(task) && typeof task.taskId === 'string' ? task.taskId : undefined);

function parseTask(value: unknown, path: string): Item {
  const read = readBy(Task, value, 'batch-operations', path, idOf(value));
  if ('item' in read) return { ...read.item, path };
  const task = read.value;
  const bucket = bucketOf(task);
  const key = decodeFormKey(task.s3Key);
  const fail = (field: string, reason: string): Item => ({
    ...invalid('batch-operations', `${path}.${field}`, reason, task.taskId),
    path,
  });
  if (bucket === undefined) return fail('s3Bucket', 'neither s3Bucket nor s3BucketArn names a bucket');
  if (key === undefined) return fail('s3Key', 'the key is not form-encoded text');
  const event = compact<UploadEvent>({
    kind: 'created',
    name: 'BatchOperations',
    source: 'batch-operations',
    bucket,
    key,
    versionId: task.s3VersionId || undefined,
  });
  return { path, id: task.taskId, event };
}
