import { ElfinError } from '@elfin/core';
import { parseUrlKeys, type UrlKey } from '../url/sign.ts';
import type { UnsignedRules } from '../url/unsigned.ts';

interface Variable<T> {
  readonly about: string;
  readonly example: string;
  readonly parse: (text: string) => T;
  /** What applies where it is not set, for the docs. */
  readonly otherwise: string;
}

const variable = <T>(of: Variable<T>): Variable<T> => of;

const list = (text: string) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

function number(min: number, max: number) {
  return (text: string): number => {
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) throw new Error(`it must be a number from ${min} to ${max}`);
    return value;
  };
}

function choice<const T extends string>(...values: readonly T[]) {
  return (text: string): T => {
    const found = values.find((value) => value === text);
    if (found === undefined) throw new Error(`it must be ${values.join(' or ')}`);
    return found;
  };
}

/** An http(s) URL that only says where. */
function folderUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain =
    url && /^https?:$/.test(url.protocol) && `${url.username}${url.password}${url.search}${url.hash}` === '';
  if (!plain || url.hostname.includes('*')) throw new Error('it must be an http(s) URL without credentials and query');
  return url.href;
}

function json<T>(check: (value: unknown) => value is T, shape: string) {
  return (text: string): T => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      value = undefined;
    }
    if (!check(value)) throw new Error(`it must be JSON like ${shape}`);
    return value;
  };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isRecord = (value: unknown): value is Record<string, string> =>
  isObject(value) && Object.values(value).every((one) => typeof one === 'string');
const isRules = (value: unknown): value is UnsignedRules =>
  isObject(value) && ['presets', 'widths', 'sources'].every((name) => Array.isArray(value[name]));

/** Every environment variable that an edge reads, on Node, Cloudflare and Lambda alike; docs/deploy.md is made from it. */
export const VARIABLES = {
  ELFIN_URL_KEYS: variable<UrlKey[]>({
    about: 'Signing keys: the first signs, all verify.',
    example: 'k2:<64 hex digits>,k1:<64 hex digits>',
    parse: parseUrlKeys,
    otherwise: 'the server refuses to start',
  }),
  ELFIN_UNSAFE: variable({
    about: 'Answers unsigned URLs. For development only.',
    example: '1',
    parse: (text) => text === '1' || text === 'true',
    otherwise: 'off',
  }),
  ELFIN_PREFIX: variable({
    about: 'First path segment of transform URLs.',
    example: 'i',
    parse: String,
    otherwise: '`i`',
  }),
  ELFIN_SOURCES: variable({
    about: 'What may be read: https://host[:port][/path], https://*.host, s3://bucket[/prefix], r2://binding[/prefix].',
    example: 'https://origin.example,s3://photos',
    parse: list,
    otherwise: 'nothing but the folder or origin',
  }),
  ELFIN_ORIGIN: variable({
    about: 'Where sources without a scheme are read: an http(s) folder, below which absolute URLs are allowed too.',
    example: 'https://origin.example/photos/',
    parse: folderUrl,
    otherwise: 'the folder',
  }),
  ELFIN_PRIVATE_SOURCES: variable({
    about: 'Networks that are not public and may be read all the same.',
    example: '10.0.0.0/8',
    parse: list,
    otherwise: 'none',
  }),
  ELFIN_PRESETS: variable({
    about: 'Named options.',
    example: '{"thumb":"restore=derain,width=320"}',
    parse: json(isRecord, '{"thumb":"restore=derain,width=320"}'),
    otherwise: 'none',
  }),
  ELFIN_UNSIGNED: variable<UnsignedRules>({
    about: 'What may be asked without a signature.',
    example: '{"presets":["thumb"],"widths":[320,640],"sources":["https://origin.example/public"]}',
    parse: json(isRules, '{"presets":["thumb"],"widths":[320],"sources":["https://origin.example/public"]}'),
    otherwise: 'nothing',
  }),
  ELFIN_CORS_ORIGINS: variable({
    about: 'Origins whose scripts may read answers.',
    example: 'https://site.example',
    parse: list,
    otherwise: 'none',
  }),
  ELFIN_WORKERS: variable({
    about: 'Workers that take whole images; pools are separated by `;` and asked in order.',
    example: 'http://gpu-1:8000,http://gpu-2:8000;http://cpu-1:8000',
    parse: (text) =>
      text
        .split(';')
        .map(list)
        .filter((pool) => pool.length > 0),
    otherwise: 'none: images are restored here',
  }),
  ELFIN_WORKER_TOKEN: variable({
    about: 'Bearer token of the workers.',
    example: '<secret>',
    parse: String,
    otherwise: 'none',
  }),
  ELFIN_WORKER_TIMEOUT_MS: variable({
    about: 'Milliseconds after which a worker that has not answered counts as hanging, and another is asked.',
    example: '180000',
    parse: number(100, 3_600_000),
    otherwise: '180,000',
  }),
  ELFIN_OFFLOAD: variable({
    about:
      'What workers are sent: `image`, whole encoded images; `auto`, from Node also the tiles of a large one, while several workers are idle.',
    example: 'image',
    parse: choice('auto', 'image'),
    otherwise: '`auto`',
  }),
  ELFIN_LOCAL_PIXELS: variable({
    about:
      'Largest image, in pixels, that the server restores itself. On Cloudflare it does so before workers are asked, elsewhere where none answers.',
    example: '50000000',
    parse: number(0, 1e9),
    otherwise: 'whatever `ELFIN_MAX_SRC_PIXELS` lets in; 65,536 on Cloudflare',
  }),
  ELFIN_MAX_SRC_BYTES: variable({
    about: 'Largest source, in bytes.',
    example: '25000000',
    parse: number(1, 1e9),
    otherwise: '25,000,000',
  }),
  ELFIN_MAX_SRC_PIXELS: variable({
    about: 'Largest source, in pixels.',
    example: '50000000',
    parse: number(1, 1e9),
    otherwise: '50,000,000',
  }),
  ELFIN_MAX_RESULT_SIDE: variable({
    about: 'Longest side of a result.',
    example: '8192',
    parse: number(1, 65535),
    otherwise: '8192',
  }),
  ELFIN_SOURCE_TTL: variable({
    about: 'Seconds that a source is trusted without asking it.',
    example: '3600',
    parse: number(0, 31_536_000),
    otherwise: '3600',
  }),
  ELFIN_SOURCE_CACHE_CONTROL: variable({
    about:
      'Whether the `private` and `no-store` of an http(s) source count: `respect`, or `ignore` where all that is read is public.',
    example: 'ignore',
    parse: choice('respect', 'ignore'),
    otherwise: '`respect`',
  }),
  ELFIN_SOURCE_TIMEOUT_MS: variable({
    about: 'Milliseconds for reading a source.',
    example: '10000',
    parse: number(1, 600_000),
    otherwise: '10,000',
  }),
  ELFIN_SYNC_WAIT_MS: variable({
    about: 'Milliseconds that a page’s request waits before it gets an interim answer.',
    example: '5000',
    parse: number(0, 600_000),
    otherwise: '5000',
  }),
  ELFIN_DEADLINE_MS: variable({
    about: 'Milliseconds that any request waits.',
    example: '60000',
    parse: number(1, 3_600_000),
    otherwise: '60,000',
  }),
  ELFIN_CONCURRENCY: variable({
    about: 'Images restored at once.',
    example: '2',
    parse: number(1, 1024),
    otherwise: '1 in this process, or two for each worker',
  }),
  ELFIN_QUEUE: variable({
    about:
      'Restorations waiting for their turn; for more, pages get the picture unrestored for the time being, programs 429.',
    example: '256',
    parse: number(0, 100_000),
    otherwise: '256',
  }),
  ELFIN_CODEC_CONCURRENCY: variable({
    about: 'Images decoded, fitted and encoded at once.',
    example: '4',
    parse: number(1, 1024),
    otherwise: 'one for each processor, at least 2',
  }),
  ELFIN_CODEC_QUEUE: variable({
    about: 'Images waiting to be decoded, fitted and encoded; one more is 429.',
    example: '1024',
    parse: number(0, 100_000),
    otherwise: '1024',
  }),
  ELFIN_RATE: variable({
    about: 'Requests a second, and at once, for each signing key in each process.',
    example: '50:200',
    parse: (text) => {
      const [, perSecond = '', burst = ''] = /^(\d+(?:\.\d+)?):(\d+)$/.exec(text) ?? [];
      if (!(Number(perSecond) > 0 && Number(burst) >= 1)) throw new Error('it must read <per second>:<burst>');
      return { perSecond: Number(perSecond), burst: Number(burst) };
    },
    otherwise: 'unlimited',
  }),
  ELFIN_METRICS_PORT: variable({
    about: 'A port of its own for `/metrics`, `/livez` and `/readyz` (Node); `/metrics` is then on no other.',
    example: '9090',
    parse: number(0, 65535),
    otherwise: '`/metrics` is answered beside the images',
  }),
  ELFIN_LOG: variable({
    about: 'Writes a line for each request to stderr: `json`, or `text` for people (Node and Lambda).',
    example: 'json',
    parse: choice('json', 'text'),
    otherwise: 'none is written',
  }),
  ELFIN_STORE: variable({
    about: 'Where results are kept: a folder, or s3://bucket[/prefix].',
    example: 's3://elfin-results',
    parse: String,
    otherwise: '`.elfin/results`',
  }),
  ELFIN_STORE_MAX_BYTES: variable({
    about: 'Size of the folder, and in memory a sixteenth of it; the least recently used leave first.',
    example: '2147483648',
    parse: number(1_000_000, 1e15),
    otherwise: '2 GiB',
  }),
  ELFIN_S3_ENDPOINT: variable({
    about: 'S3 endpoint, path-style.',
    example: 'https://s3.eu-central-1.amazonaws.com',
    parse: String,
    otherwise: 'AWS in `ELFIN_S3_REGION`',
  }),
  ELFIN_S3_REGION: variable({
    about: 'S3 region.',
    example: 'eu-central-1',
    parse: String,
    otherwise: '`AWS_REGION`, or us-east-1',
  }),
} as const;

/** What the variables say; only what is set is there. */
export type EdgeConfig = {
  readonly [K in keyof typeof VARIABLES]?: ReturnType<(typeof VARIABLES)[K]['parse']>;
};

/**
 * Reads the variables. Errors: CONFIG_INVALID, naming the variable and what it takes but never quoting a value, which may
 * be a secret.
 */
export function readConfig(env: Readonly<Record<string, unknown>>): EdgeConfig {
  const config: Record<string, unknown> = {};
  for (const [name, { parse }] of Object.entries(VARIABLES)) {
    const text = env[name];
    if (typeof text !== 'string' || text === '') continue;
    try {
      config[name] = parse(text);
    } catch (cause) {
      throw new ElfinError(
        'CONFIG_INVALID',
        `${name} cannot be used: ${cause instanceof Error ? cause.message : 'it is malformed'}`,
        { cause },
      );
    }
  }
  return config as EdgeConfig;
}
