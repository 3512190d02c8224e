import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from './binary.ts';
import { startService } from './process.ts';

const RIC = '4.0.2';
const run = promisify(execFile);

/** AWS's own runtime interface client for Node; compiled on first use (about two minutes). */
export async function runtimeInterfaceClient(): Promise<string> {
  const folder = join(cacheFolder(), `aws-lambda-ric-${RIC}`);
  const root = join(folder, 'node_modules', 'aws-lambda-ric');
  const built = await access(join(root, 'rapid-client.node')).then(
    () => true,
    () => false,
  );
  if (!built) {
    await mkdir(folder, { recursive: true });
    // Its native client is built by install scripts, which npm runs only where they are allowed by name.
    await writeFile(
      join(folder, 'package.json'),
      JSON.stringify({ private: true, allowScripts: { 'aws-lambda-ric': true } }),
    );
    await run('npm', ['install', `aws-lambda-ric@${RIC}`, '--foreground-scripts'], {
      cwd: folder,
      maxBuffer: 256 * 1024 * 1024,
    });
  }
  return join(root, 'index.mjs');
}

export type Answer = { readonly result: unknown } | { readonly error: { errorType: string; errorMessage: string } };

/**
 * A handler in AWS's runtime client, fed by a runtime API of our own: as Lambda does it, `GET …/invocation/next` waits for
 * an event, and the answer is posted to `…/response` or `…/error`.
 */
export async function startLambda(options: {
  root: string;
  handler: string;
  env: Record<string, string>;
  remainingMs?: number;
}) {
  const waiting: ServerResponse[] = [];
  const events: { id: string; event: unknown }[] = [];
  const answers = new Map<string, (answer: Answer) => void>();
  let count = 0;
  const hand = () => {
    while (waiting.length > 0 && events.length > 0) {
      const { id, event } = events.shift()!;
      const headers = {
        'content-type': 'application/json',
        'lambda-runtime-aws-request-id': id,
        'lambda-runtime-deadline-ms': String(Date.now() + (options.remainingMs ?? 60_000)),
        'lambda-runtime-invoked-function-arn': 'arn:aws:lambda:us-east-1:111122223333:function:elfin',
        'lambda-runtime-trace-id': 'Root=1-00000000-000000000000000000000000',
      };
      waiting.shift()!.writeHead(200, headers).end(JSON.stringify(event));
    }
  };
  const api = createServer(async (request, response) => {
    if (request.url?.endsWith('/invocation/next')) {
      waiting.push(response);
      return hand();
    }
    let text = '';
    for await (const chunk of request) text += chunk;
    const [, id = '', kind] = /invocation\/([^/]+)\/(response|error)$/.exec(request.url ?? '') ?? [];
    answers.get(id)?.(kind === 'response' ? { result: JSON.parse(text) } : { error: JSON.parse(text) });
    answers.delete(id);
    response.writeHead(202).end('{"status":"OK"}');
  }).listen(0, '127.0.0.1');
  await once(api, 'listening');
  const service = await startService(process.execPath, [await runtimeInterfaceClient()], {
    cwd: options.root,
    env: {
      AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${(api.address() as AddressInfo).port}`,
      LAMBDA_TASK_ROOT: options.root,
      _HANDLER: options.handler,
      AWS_LAMBDA_FUNCTION_NAME: 'elfin',
      AWS_LAMBDA_FUNCTION_VERSION: '1',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '3008',
      AWS_LAMBDA_LOG_GROUP_NAME: 'elfin',
      AWS_LAMBDA_LOG_STREAM_NAME: 'elfin',
      // Nothing of the repository may be found.
      NODE_PATH: '',
      NODE_OPTIONS: '',
      ...options.env,
    },
    ready: () => waiting.length > 0,
    timeoutMs: 60_000,
  });
  return {
    output: service.output,
    invoke(event: unknown): Promise<Answer> {
      const id = `00000000-0000-4000-8000-${String(count++).padStart(12, '0')}`;
      const answer = new Promise<Answer>((resolve, reject) => {
        answers.set(id, resolve);
        service.child.once('exit', () => reject(new Error(`Lambda ended:\n${service.output()}`)));
      });
      events.push({ id, event });
      hand();
      return answer;
    },
    async stop() {
      await service.stop('SIGKILL');
      api.closeAllConnections();
      api.close();
    },
  };
}
