import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decode, pathOf } from "./codec.ts";
import { MalformedMessageError } from "./errors.ts";
import { EXAMPLES } from "./examples.ts";
import { SCHEMAS } from "./json-schema.ts";
import { AttemptRecord, Decision, InboxMessage, RunEvent, RunStep, StepCompleted } from "./messages.ts";

/** What is part of a message, not one itself, and what is a choice among messages. */
const PARTS = [
  "Trace",
  "Baggage",
  "Progress",
  "Signal",
  "Segment",
  "ParentClosePolicy",
  "Failure",
  "RetryPolicy",
  "TimeoutPolicy",
];
const CHOICES = { InboxMessage, RunEvent, AttemptRecord };

describe("a large payload that cannot be had", () => {
  it.each([
    [
      { v: 1, type: "BlobLost", key: "r/0", why: "chunk 2 of 7 is not in the store" },
      /fetched \(chunk 2 of 7 is not in/,
    ],
    [{ v: 1, type: "BlobLost" }, /cannot be fetched/],
    [{ v: 1, type: "Ref", key: "r/0", bytes: "9" }, /a reference to a large payload whose header or fields/],
  ])("is what the error says of %j", (message, says) => {
    for (const schema of [InboxMessage, RunStep, AttemptRecord])
      expect(() => decode<unknown>(schema, JSON.stringify(message), "it")).toThrow(says);
  });
});

describe("every message", () => {
  it("has an example", () => {
    const messages = Object.keys(SCHEMAS).filter((name) => !PARTS.includes(name) && !(name in CHOICES));
    expect(Object.keys(EXAMPLES).sort()).toEqual(messages.sort());
  });

  it.each(Object.entries(EXAMPLES))("is read as it was written: %s", (name, message) => {
    expect(message.type).toBe(name);
    expect(SCHEMAS[name]!.parse(JSON.parse(JSON.stringify(message)))).toEqual(message);
  });

  it.each(Object.entries(EXAMPLES))("is read with what a newer writer adds dropped: %s", (name, message) => {
    expect(SCHEMAS[name]!.parse({ ...message, addedIn2031: true })).toEqual(message);
  });

  it.each(Object.entries(EXAMPLES))("is refused without a field it needs: %s", (name, message) => {
    const refused = Object.keys(message).filter((key) => {
      const { [key]: _, ...rest } = message;
      return !SCHEMAS[name]!.safeParse(rest).success;
    });
    expect(refused).toContain("type");
    if ("v" in message) expect(refused).toContain("v");
  });

  it.each(Object.entries(EXAMPLES))("is refused under another type: %s", (name, message) => {
    for (const other of Object.keys(EXAMPLES))
      if (other !== name) expect(SCHEMAS[other]!.safeParse(message).success).toBe(false);
  });

  it.each(Object.entries(CHOICES))("is found by its type among %s", (_name, choice) => {
    const members = choice.options.map((option) => option.shape.type.value);
    for (const type of members) expect(choice.parse(EXAMPLES[type])).toEqual(EXAMPLES[type]);
    expect(choice.safeParse({ v: 1, type: "Nonsense" }).success).toBe(false);
  });

  it("carries any JSON through unchanged", () =>
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const [text, sent] = [
          JSON.stringify(value),
          { v: 1, type: "StepCompleted", slot: 1, step: "s", attempt: 1, output: value },
        ];
        expect(JSON.stringify(decode(StepCompleted, JSON.stringify(sent), "test").output)).toBe(text);
      }),
    ));

  it("may leave out what it carries: a handler that returns nothing", () => {
    const text = JSON.stringify({ ...EXAMPLES.StepCompleted, output: undefined });
    expect(decode(InboxMessage, text, "test")).not.toHaveProperty("output");
  });
});

describe("a message that cannot be read", () => {
  const completed = EXAMPLES.StepCompleted!;
  const decision = EXAMPLES.Decision!;
  const refusal = (read: () => unknown): MalformedMessageError => {
    try {
      read();
    } catch (error) {
      if (error instanceof MalformedMessageError) return error;
      throw error;
    }
    throw new Error("it was read");
  };

  it.each<[string, string, string, RegExp]>([
    ["no JSON", "{", "", /cannot be read: not JSON/],
    ["empty", "", "", /not JSON/],
    ["null", "null", "v", /unknown version undefined; known: 1/],
    ["a number", "1", "v", /unknown version undefined/],
    ["a list", "[]", "v", /unknown version undefined/],
    ["no version", JSON.stringify({ ...completed, v: undefined }), "v", /unknown version undefined/],
    ["a version to come", JSON.stringify({ ...completed, v: 2 }), "v", /unknown version 2; known: 1/],
    ["an unknown type", JSON.stringify({ v: 1, type: "Nonsense" }), "type", /Invalid discriminator/],
    ["no type", '{"v":1}', "type", /Invalid discriminator/],
    ["a field of the wrong kind", JSON.stringify({ ...completed, slot: "one" }), "slot", /expected number/],
    ["a slot that is none", JSON.stringify({ ...completed, slot: 0 }), "slot", />=1/],
    ["a step's name with a dot", JSON.stringify({ ...completed, step: "a.b" }), "step", /A-Z a-z 0-9 _ -/],
  ])("is refused with the path of the fault: %s", (_what, text, path, why) => {
    const error = refusal(() => decode(InboxMessage, text, "dev.inbox.5.order-1 @ 7"));
    expect(error.path).toBe(path);
    expect(error.message).toMatch(why);
    expect(error.message).toContain("dev.inbox.5.order-1 @ 7");
  });

  it("is refused with the path of a fault deep inside", () => {
    const event = { type: "RunFailed", error: { name: "Error", code: "ERROR", message: "x", cause: { name: 5 } } };
    const text = JSON.stringify({ ...decision, events: [EXAMPLES.RunCompleted, event] });
    expect(refusal(() => decode(Decision, text, "x")).path).toBe("events[1].error.cause.name");
    const command = JSON.stringify({
      ...EXAMPLES.RunStep,
      retry: { ...(EXAMPLES.RunStep!.retry as object), jitter: "some" },
    });
    expect(refusal(() => decode(RunStep, command, "x")).path).toBe("retry.jitter");
  });

  it("is refused as malformed whatever its bytes: nothing else is thrown", () =>
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(refusal(() => decode(InboxMessage, text, "test")).code).toBe("MALFORMED_MESSAGE");
      }),
    ));

  it("spells paths as people write them", () => {
    expect(pathOf([])).toBe("");
    expect(pathOf(["lines", 3, "cents"])).toBe("lines[3].cents");
    expect(pathOf([0, "a", 1, 2])).toBe("[0].a[1][2]");
  });
});
