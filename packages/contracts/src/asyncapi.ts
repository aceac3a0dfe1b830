import { CHANNELS, HEADERS, OPERATIONS } from "./asyncapi-parts.ts";
import { RULES } from "./asyncapi-rules.ts";
import { EXAMPLES } from "./examples.ts";
import { type JsonSchema, jsonSchemas } from "./json-schema.ts";
import { SENDERS } from "./subjects.ts";

/** The version of the protocol, not of a package: grows when a message is added or changed. */
const PROTOCOL_VERSION = "1.0.0";

const PARAMETERS: Record<string, { description: string; enum?: string[]; examples: string[] }> = {
  namespace: { description: "Isolates tenants, environments and tests. 1 to 32 of A-Z a-z 0-9 _ -", examples: ["dev"] },
  partition: {
    description: "32-bit FNV-1a over the characters of the run id, modulo the partition count of the namespace.",
    examples: ["5"],
  },
  run: { description: "The id of the run. 1 to 64 of A-Z a-z 0-9 _ -", examples: ["order-1"] },
  sender: {
    description: "Who sends the message: a client (or a parent, the client of its children), a worker, a coordinator.",
    enum: [...SENDERS],
    examples: ["worker"],
  },
  slot: { description: "The n-th piece of work the run asked for: 1, 2, 3 …", examples: ["1"] },
  coordinator: { description: "The id of a coordinator: see Presence.", examples: ["coordinator-7f3a"] },
  step: { description: "The name of the step. 1 to 64 of A-Z a-z 0-9 _ -", examples: ["charge"] },
};

/**
 * The protocol of the bus as an AsyncAPI 3.0 document: enough to write a worker or a client in another language.
 *
 * @param docs - Descriptions of messages and fields; see `docComments`.
 */
export function asyncApi(docs: ReadonlyMap<string, string>): JsonSchema {
  const schemas = jsonSchemas(docs, "#/components/schemas/");
  return {
    asyncapi: "3.0.0",
    info: {
      title: "Stepstream",
      version: PROTOCOL_VERSION,
      description: RULES,
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
    },
    defaultContentType: "application/json",
    servers: {
      nats: { host: "localhost:4222", protocol: "nats", description: "nats-server 2.12 or newer with JetStream." },
    },
    channels: mapValues(CHANNELS, ({ address, description, messages }) => ({
      address,
      description,
      parameters: Object.fromEntries(
        [...address.matchAll(/\{(\w+)\}/g)].map(([, name]) => [name, { $ref: `#/components/parameters/${name}` }]),
      ),
      messages: Object.fromEntries(messages.map((name) => [name, { $ref: `#/components/messages/${name}` }])),
    })),
    operations: mapValues(OPERATIONS, ({ action, by, channel, messages, summary, description }) => ({
      action,
      channel: { $ref: `#/channels/${channel}` },
      summary,
      description,
      tags: [{ name: by }],
      messages: messages.map((name) => ({ $ref: `#/channels/${channel}/messages/${name}` })),
    })),
    components: {
      parameters: PARAMETERS,
      messages: Object.fromEntries(
        [...new Set(Object.values(CHANNELS).flatMap((channel) => channel.messages))].map((name) => [
          name,
          message(name, schemas[name]),
        ]),
      ),
      schemas,
    },
  };
}

function message(name: string, schema: JsonSchema | undefined): JsonSchema {
  const headers = HEADERS[name];
  const payload = EXAMPLES[name];
  if (!schema || !payload) throw new RangeError(`"${name}" has no schema or no example.`);
  const values = headers && mapValues(headers, (header) => header.example);
  return {
    name,
    summary: schema.description,
    contentType: "application/json",
    ...(headers
      ? {
          headers: {
            type: "object",
            properties: mapValues(headers, ({ description, fixed }) => ({
              type: "string",
              description,
              ...(fixed === undefined ? {} : { const: fixed }),
            })),
            required: Object.keys(headers).filter((header) => headers[header]!.required),
          },
        }
      : {}),
    payload: { $ref: `#/components/schemas/${name}` },
    examples: [{ name, ...(values ? { headers: values } : {}), payload }],
  };
}

function mapValues<T, R>(record: Readonly<Record<string, T>>, fn: (value: T) => R): Record<string, R> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, fn(value)]));
}
