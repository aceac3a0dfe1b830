import * as conventions from "@opentelemetry/semantic-conventions/incubating";
import { describe, expect, it } from "vitest";
import { deciding, processing, sending } from "./attributes.ts";

/** The names in force. Deprecated ones are exported as well: `messaging.system` became `messaging.system.name`. */
const KNOWN = new Set<unknown>(Object.values(conventions));
const DEPRECATED = new Set<string>([conventions.ATTR_MESSAGING_SYSTEM, conventions.ATTR_MESSAGING_OPERATION]);

describe("attributes of messages", () => {
  it.each([
    ["a start", sending("dev", "r1"), conventions.MESSAGING_OPERATION_TYPE_VALUE_SEND],
    ["a decision", deciding("dev", "r1", 2), conventions.MESSAGING_OPERATION_TYPE_VALUE_PROCESS],
    ["an attempt", processing("dev", "r1", "charge", "m"), conventions.MESSAGING_OPERATION_TYPE_VALUE_PROCESS],
  ])("are those of OpenTelemetry's conventions: %s", (_of, attributes, type) => {
    expect(Object.keys(attributes).filter((name) => !KNOWN.has(name) || DEPRECATED.has(name))).toEqual([]);
    expect(attributes[conventions.ATTR_MESSAGING_OPERATION_TYPE]).toBe(type);
    // What they require of every span.
    expect(attributes).toMatchObject({
      "messaging.system.name": "nats",
      "messaging.operation.name": expect.any(String),
    });
  });

  it("count messages of a batch only", () => {
    expect(deciding("dev", "r1", 2)["messaging.batch.message_count"]).toBe(2);
    expect(deciding("dev", "r1", 1)).not.toHaveProperty("messaging.batch.message_count");
  });
});
