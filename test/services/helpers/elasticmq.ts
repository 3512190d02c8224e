import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SQSClient } from '@aws-sdk/client-sqs';
import { cacheFolder } from './binary.ts';
import { freePort, startService } from './process.ts';

const VERSION = '1.7.1';
const run = promisify(execFile);

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>elfin</groupId><artifactId>elasticmq-tests</artifactId><version>1</version>
  <dependencies><dependency><groupId>org.elasticmq</groupId><artifactId>elasticmq-server_2.13</artifactId><version>${VERSION}</version></dependency></dependencies>
</project>
`;

/** ElasticMQ's class path; Maven brings its jars on first use. */
async function classPath(): Promise<string> {
  const folder = join(cacheFolder(), `elasticmq-${VERSION}`);
  const file = join(folder, 'classpath.txt');
  const known = await access(file).then(
    () => true,
    () => false,
  );
  if (!known) {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'pom.xml'), POM);
    await run('mvn', ['-q', '-B', 'dependency:build-classpath', `-Dmdep.outputFile=${file}`], {
      cwd: folder,
      maxBuffer: 64 * 1024 * 1024,
    });
  }
  return readFile(file, 'utf8');
}

/** ElasticMQ with a queue `uploads` that gives a message up to `dead` after three receipts. */
export async function startElasticMq(visibilitySeconds: number) {
  const folder = await mkdtemp(join(tmpdir(), 'elfin-elasticmq-'));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const configuration = join(folder, 'elasticmq.conf');
  await writeFile(
    configuration,
    `include classpath("application.conf")
node-address { protocol = http, host = 127.0.0.1, port = ${port}, context-path = "" }
rest-sqs { enabled = true, bind-port = ${port}, bind-hostname = "127.0.0.1", sqs-limits = strict }
rest-stats { enabled = false }
queues {
  uploads {
    defaultVisibilityTimeout = ${visibilitySeconds} seconds
    delay = 0 seconds
    receiveMessageWait = 0 seconds
    deadLettersQueue { name = "dead", maxReceiveCount = 3 }
  }
  dead { }
}
`,
  );
  const java = [
    '-Xmx256m',
    `-Dconfig.file=${configuration}`,
    '-cp',
    (await classPath()).trim(),
    'org.elasticmq.server.Main',
  ];
  const service = await startService('java', java, {
    ready: async () => (await fetch(endpoint)).status > 0,
    timeoutMs: 60_000,
  });
  const credentials = { accessKeyId: 'x', secretAccessKey: 'x' };
  const client = new SQSClient({ endpoint, region: 'elasticmq', credentials });
  return {
    client,
    url: (queue: 'uploads' | 'dead') => `${endpoint}/000000000000/${queue}`,
    async stop() {
      client.destroy();
      await service.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
