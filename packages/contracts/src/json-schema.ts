import { z } from "zod";
import { RetryPolicy, TimeoutPolicy } from "./duration.ts";
import { Failure } from "./failure.ts";
import * as messages from "./messages.ts";

/** A JSON Schema (draft 7: the dialect that AsyncAPI and most validators speak). */
export type JsonSchema = Record<string, any>;

/** Every schema of the protocol by its exported name. */
export const SCHEMAS: Readonly<Record<string, z.ZodType>> = {
  // Sorted, since loaders do not agree on the order of a module's exports.
  ...Object.fromEntries(
    Object.entries(messages)
      .filter((entry) => entry[1] instanceof z.ZodType)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  ),
  Failure,
  RetryPolicy,
  TimeoutPolicy,
};

/**
 * The schemas of the protocol as JSON Schema, by name.
 *
 * @param docs - Descriptions by `Name` and `Name.field`, as `docComments` reads them from the source.
 * @param base - What a reference to another of them begins with.
 */
export function jsonSchemas(docs: ReadonlyMap<string, string>, base: string): Record<string, JsonSchema> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(SCHEMAS)) registry.add(schema, { id });
  // As a writer must produce it ("input"): readers drop unknown keys, so nothing forbids them.
  const { schemas } = z.toJSONSchema(registry, {
    target: "draft-07",
    io: "input",
    uri: (id) => `${base}${id}`,
    override: ({ jsonSchema }) => void tidy(jsonSchema),
  });
  return Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => {
      const { $schema: _, $id: __, ...rest } = schema as JsonSchema;
      return [name, described(name, rest, docs)];
    }),
  );
}

/** One schema that needs no other: what it refers to is under `definitions`. */
export function standalone(name: string, docs: ReadonlyMap<string, string>): JsonSchema {
  const all = jsonSchemas(docs, "#/definitions/");
  const needed = new Set<string>();
  const collect = (schema: JsonSchema) => {
    for (const [, ref] of JSON.stringify(schema).matchAll(/"#\/definitions\/(\w+)"/g)) {
      if (needed.has(ref!)) continue;
      needed.add(ref!);
      collect(all[ref!]!);
    }
  };
  collect(all[name]!);
  const definitions = Object.fromEntries([...needed].sort().map((ref) => [ref, all[ref]]));
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: name,
    ...all[name],
    ...(needed.size > 0 ? { definitions } : {}),
  };
}

/** JavaScript's largest safe integer is no rule of the protocol. */
function tidy(schema: JsonSchema): void {
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
}

function described(name: string, schema: JsonSchema, docs: ReadonlyMap<string, string>): JsonSchema {
  const properties = Object.entries((schema.properties ?? {}) as Record<string, JsonSchema>).map(([field, value]) => {
    // What the field itself does not say, its kind may: `slot` is a Slot.
    const description = docs.get(`${name}.${field}`) ?? docs.get(field.charAt(0).toUpperCase() + field.slice(1));
    if (!description) return [field, value];
    // Draft 7 ignores what stands beside a $ref.
    return [field, value.$ref ? { description, allOf: [value] } : { description, ...value }];
  });
  const description = docs.get(name);
  return {
    ...(description ? { description } : {}),
    ...schema,
    ...(schema.properties ? { properties: Object.fromEntries(properties) } : {}),
  };
}
