import { z } from 'zod';
import { RuleSchema } from '../src/rules/rules.ts';

interface Field {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly items?: Field;
  readonly anyOf?: readonly Field[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly description?: string;
}

const code = (text: string) => `\`${text}\``;

function valuesOf(field: Field): string {
  if (field.enum) return field.enum.map(code).join(' ');
  if (field.anyOf?.some(({ type }) => type === 'array')) return 'a text or a list';
  if (field.anyOf) return field.anyOf.map(valuesOf).join(', ');
  if (field.type === 'array') return `a list of ${valuesOf(field.items ?? {})}`;
  if (field.type === 'string') return 'a text';
  if (field.type === 'object') return 'names and values';
  const whole = field.type === 'integer' ? 'whole, ' : '';
  const most = field.maximum === undefined || field.maximum > 1e15 ? 'on' : `to ${field.maximum}`;
  return `${whole}from ${field.minimum ?? 1} ${most}`;
}

function defaultOf(value: unknown): string {
  if (value === undefined) return '';
  if (Array.isArray(value) && value.length === 0) return '';
  return Array.isArray(value)
    ? value.map((one) => code(String(one))).join(' ')
    : value === ''
      ? ''
      : code(String(value));
}

/** The table of a rule's fields, for docs/plugins.md. */
export function rulesTable(): string {
  const { task: _, ...defaults }: Record<string, unknown> = RuleSchema.parse({ task: 'derain' });
  const { properties = {} } = z.toJSONSchema(RuleSchema, { io: 'input' }) as { properties?: Record<string, Field> };
  const rows = Object.entries(properties).map(([name, field]) => {
    const cells = [code(name), valuesOf(field), defaultOf(defaults[name]), field.description ?? ''];
    return `| ${cells.join(' | ')} |`;
  });
  return ['| field | values | default | what it says |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

/** The document with the table in its place. Throws where it has none. */
export function withRulesTable(document: string): string {
  const place = /(<!-- rules -->\n\n)[\s\S]*?(\n\n<!-- \/rules -->)/;
  if (!place.test(document)) throw new Error('docs/plugins.md has no place for the rules.');
  return document.replace(place, (_, before: string, after: string) => before + rulesTable() + after);
}
