import { OPTION_NAMES, OPTIONS, type OptionSpec } from '../url/options.ts';
import { codesByStatus } from './errors.ts';

function schemaOf(spec: OptionSpec): Record<string, unknown> {
  const base = { description: spec.about, ...(spec.default === undefined ? {} : { default: spec.default }) };
  switch (spec.kind) {
    case 'choice':
      return { ...base, type: 'string', enum: [...spec.values] };
    case 'name':
      return { ...base, type: 'string', pattern: '^[a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])?$' };
    default: {
      const number = { type: spec.kind === 'integer' ? 'integer' : 'number', minimum: spec.min, maximum: spec.max };
      const words = spec.kind === 'integer' ? spec.words : undefined;
      return words ? { ...base, anyOf: [{ type: 'string', enum: [...words] }, number] } : { ...base, ...number };
    }
  }
}

const problem = (description: string) => ({
  description,
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
});

/** What a transform URL is refused with; each also names the codes of `Elfin-Error` that have this status. */
const PROBLEMS: Readonly<Record<number, string>> = {
  400: 'The URL is malformed.',
  403: 'The signature or the source is refused.',
  404: 'The source does not exist.',
  409: 'The work was cancelled.',
  410: 'The URL has run out.',
  413: 'The source has too many bytes.',
  414: 'The URL is too long.',
  415: 'The source is no image that is read here.',
  422: 'The source is a broken image, or has too many pixels; or no such model is here.',
  423: 'The image is being restored.',
  429: 'Too much at once.',
  500: 'The server is set up wrongly, or has a defect.',
  502: 'The source’s server failed.',
  503: 'This server cannot do it now.',
  504: 'It took too long.',
  508: 'The source leads back here.',
};

function problems(): Record<number, ReturnType<typeof problem>> {
  const codes = codesByStatus();
  return Object.fromEntries(
    Object.entries(PROBLEMS).map(([status, sentence]) => {
      return [status, problem(`${sentence} Codes: ${(codes.get(Number(status)) ?? []).join(', ')}.`)];
    }),
  );
}

const header = (description: string) => ({ description, schema: { type: 'string' } });

const CREDENTIALS = [
  {
    name: 'exp',
    in: 'query',
    description: 'Unix seconds after which the URL is gone.',
    schema: { type: 'integer' },
  },
  { name: 'kid', in: 'query', description: 'Which key signed.', schema: { type: 'string' } },
  { name: 'sig', in: 'query', description: 'base64url of HMAC-SHA-256.', schema: { type: 'string' } },
];

/** The OpenAPI 3.1 description of an edge, its options derived from the table. */
export function openApi({ prefix }: { readonly prefix: string }): Record<string, unknown> {
  return {
    openapi: '3.1.0',
    info: { title: 'elfin', version: '1', description: 'Restored photos by URL.' },
    paths: { [`/${prefix}/{options}/{source}`]: transformPath(), ...jobPaths(), ...healthPaths() },
    components: { schemas: schemas() },
  };
}

const string = { type: 'string' };
const image = { schema: { type: 'string', format: 'binary' } };
const state = { 'application/json': { schema: { $ref: '#/components/schemas/Job' } } };

function transformPath() {
  return {
    get: {
      operationId: 'transform',
      summary: 'The source, restored, fitted and encoded.',
      parameters: [
        {
          name: 'options',
          in: 'path',
          required: true,
          description: 'name=value pairs, separated by commas.',
          style: 'simple',
          explode: true,
          schema: { $ref: '#/components/schemas/Options' },
        },
        {
          name: 'source',
          in: 'path',
          required: true,
          description: 'encodeURIComponent of the source, or b64:<base64url>.',
          schema: string,
        },
        ...CREDENTIALS,
        { name: 'Prefer', in: 'header', description: 'respond-async, wait=<seconds>', schema: string },
      ],
      responses: {
        200: {
          description: 'The image; Restore-Status tells whether it is the restored one.',
          headers: {
            'Restore-Status': header('restored, pending, degraded or passthrough (RFC 9651 item).'),
            'Elfin-Info': header('Sizes, formats, model and cache state.'),
            ETag: header('The key of the result.'),
          },
          content: {
            'image/avif': image,
            'image/webp': image,
            'image/jpeg': image,
            'image/png': image,
            'application/json': { schema: { type: 'object' } },
          },
        },
        202: { description: 'The work goes on; Location is its job.', content: state },
        302: { description: 'onerror=redirect, and it failed; Location is the source.' },
        304: { description: 'The client has it.' },
        ...problems(),
      },
    },
  };
}

function jobPaths() {
  const job = { name: 'id', in: 'path', required: true, schema: string };
  return {
    '/jobs/{id}': {
      get: {
        operationId: 'job',
        summary: 'The state of work, as JSON or as Server-Sent Events.',
        parameters: [
          job,
          {
            name: 'to',
            in: 'query',
            description: 'Path and query of the transform URL to be led to when it is done.',
            schema: string,
          },
        ],
        responses: {
          200: { description: 'Its state.', content: { ...state, 'text/event-stream': { schema: string } } },
          303: { description: 'Done; Location is what `to` said.', content: state },
          400: problem('`to` is no transform URL of this server.'),
          404: problem('Unknown, or over for long.'),
        },
      },
    },
    '/jobs/{id}/cancel': {
      post: {
        operationId: 'cancel',
        summary: 'Stops work for all who wait for it; signed by `Signer.signCancel`.',
        parameters: [job, ...CREDENTIALS],
        responses: {
          200: { description: 'Its state.', content: state },
          403: problem('Not signed, or signed for another job.'),
          404: problem('Unknown, or over for long.'),
          410: problem('The signature has expired.'),
        },
      },
    },
  };
}

function healthPaths() {
  return {
    '/livez': { get: { operationId: 'live', responses: { 200: { description: 'The process runs.' } } } },
    '/readyz': {
      get: {
        operationId: 'ready',
        responses: { 200: { description: 'It takes requests.' }, 503: { description: 'It does not.' } },
      },
    },
  };
}

function schemas() {
  return {
    Options: {
      type: 'object',
      properties: Object.fromEntries(OPTION_NAMES.map((name) => [name, schemaOf(OPTIONS[name])])),
    },
    Problem: {
      type: 'object',
      description: 'RFC 9457',
      required: ['type', 'title', 'status', 'code'],
      properties: { type: string, title: string, status: { type: 'integer' }, detail: string, code: string },
    },
    Job: {
      type: 'object',
      required: ['id', 'state'],
      properties: {
        id: string,
        state: { type: 'string', enum: ['queued', 'running', 'done', 'failed', 'cancelled'] },
        progress: { type: 'number', minimum: 0, maximum: 1 },
        location: string,
        error: { type: 'object', properties: { code: string, message: string } },
      },
    },
  };
}
