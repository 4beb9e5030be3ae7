/** As much of JSON Schema as docs/schemas/ uses. */
import fs from 'node:fs';

interface Schema {
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean;
  items?: Schema;
}

function typeOf(value: unknown): string[] {
  if (value === null) return ['null'];
  if (Array.isArray(value)) return ['array'];
  return Number.isInteger(value) ? ['integer', 'number'] : [typeof value];
}

function check(value: unknown, schema: Schema, at: string): string[] {
  const wrong: string[] = [];
  if (schema.type && ![schema.type].flat().some((type) => typeOf(value).includes(type))) {
    return [`${at} is ${typeOf(value)[0]}, not ${schema.type}`];
  }
  if ('const' in schema && value !== schema.const) wrong.push(`${at} is ${JSON.stringify(value)}`);
  if (schema.enum && !schema.enum.includes(value)) wrong.push(`${at} is ${JSON.stringify(value)}`);
  if (Array.isArray(value) && schema.items) {
    for (const [i, item] of value.entries()) wrong.push(...check(item, schema.items, `${at}[${i}]`));
  } else if (value !== null && typeof value === 'object') {
    for (const name of schema.required ?? []) if (!(name in value)) wrong.push(`${at}.${name} is missing`);
    for (const [name, property] of Object.entries(value)) {
      const known = schema.properties?.[name];
      if (known) wrong.push(...check(property, known, `${at}.${name}`));
      else if (schema.additionalProperties === false) wrong.push(`${at}.${name} is not in the schema`);
    }
  }
  return wrong;
}

/** Parses what a command printed and holds it against the schema that it names. */
export function parseChecked(text: string): Record<string, unknown> & { schema: string } {
  const value = JSON.parse(text) as { schema: string };
  const file = new URL(`../../../../docs/schemas/${value.schema.replace('/', '-')}.json`, import.meta.url);
  const wrong = check(value, JSON.parse(fs.readFileSync(file, 'utf8')) as Schema, value.schema);
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
  return value as Record<string, unknown> & { schema: string };
}
