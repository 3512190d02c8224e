import { Validator } from '@seriousme/openapi-schema-validator';
import { expect, test } from 'vitest';
import { OPTION_NAMES } from '../url/options.ts';
import { codesByStatus } from './errors.ts';
import { openApi } from './openapi.ts';

interface Described {
  readonly paths: Record<string, { get?: { responses: Record<string, { description: string }> } }>;
  readonly components: { readonly schemas: { readonly Options: { readonly properties: object } } };
}

test('the description of an edge is valid OpenAPI 3.1', async () => {
  const validator = new Validator();
  expect(await validator.validate(openApi({ prefix: 'i' }))).toEqual({ valid: true });
  expect(validator.version).toBe('3.1');
  const broken = { ...openApi({ prefix: 'i' }), paths: { '/x': { get: { responses: 7 } } } };
  expect((await new Validator().validate(broken)).valid).toBe(false);
});

test('it names every option, and every status that a transform URL can be refused with', () => {
  const { paths, components } = openApi({ prefix: 'pictures' }) as unknown as Described;
  expect(Object.keys(components.schemas.Options.properties)).toEqual(OPTION_NAMES);
  const responses = paths['/pictures/{options}/{source}']?.get?.responses ?? {};
  // 405 is of other methods than the one described, 408 of bodies, which a GET has none of.
  const known = [...codesByStatus().keys()].filter((status) => status !== 405 && status !== 408);
  const told = Object.keys(responses).map(Number);
  expect(told.filter((status) => status >= 400)).toEqual(known.sort((a, b) => a - b));
  expect(told.filter((status) => status < 400)).toEqual([200, 202, 302, 304]);
  expect(responses[403]?.description).toContain('SIGNATURE_INVALID');
});
