import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { promisify } from 'node:util';
import type { S3Server } from './s3.ts';

/** Credentials for a while, as a role has them. */
export interface Session {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
}

/** A session of MinIO's own STS, for a quarter of an hour, which is its least; allowed what the policy allows. */
export async function assumeRole({ endpoint, env }: S3Server, statements?: readonly object[]): Promise<Session> {
  const policy = JSON.stringify({ Version: '2012-10-17', Statement: statements });
  const query = new URLSearchParams({
    Action: 'AssumeRole',
    Version: '2011-06-15',
    DurationSeconds: '900',
    ...(statements && { Policy: policy }),
  });
  const root = `${env.AWS_ACCESS_KEY_ID}:${env.AWS_SECRET_ACCESS_KEY}`;
  const args = ['-fsS', '--aws-sigv4', 'aws:amz:us-east-1:sts', '--user', root, `${endpoint}/`, '-d', query.toString()];
  const { stdout } = await promisify(execFile)('curl', args);
  const field = (name: string) => {
    const value = new RegExp(`<${name}>(.*?)</${name}>`).exec(stdout)?.[1];
    if (value === undefined) throw new Error(`MinIO gave no ${name}: ${stdout}`);
    return value;
  };
  return {
    accessKeyId: field('AccessKeyId'),
    secretAccessKey: field('SecretAccessKey'),
    sessionToken: field('SessionToken'),
  };
}

/**
 * The same session, run out ten seconds ago: its token is a JWT that MinIO signs with the root's secret, so that its end can
 * be moved instead of being waited for.
 */
export function expired(session: Session, { env }: S3Server): Session {
  const [header, payload = ''] = session.sessionToken.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
  const past = { ...claims, exp: Math.floor(Date.now() / 1000) - 10 };
  const body = `${header}.${Buffer.from(JSON.stringify(past)).toString('base64url')}`;
  const signature = createHmac('sha512', env.AWS_SECRET_ACCESS_KEY!).update(body).digest('base64url');
  return { ...session, sessionToken: `${body}.${signature}` };
}
