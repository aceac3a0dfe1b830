import { Subjects } from "@stepstream/contracts";
import { step } from "@stepstream/sdk";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { checkDeclared, readCommand, readInput, writeOutput } from "./payload.ts";

const where = { run: "r", step: "s", slot: 1, attempt: 1 };
const subjects = new Subjects("ns", 4);
const subject = subjects.command("s", "r", 1);
const valid = {
  v: 1,
  type: "RunStep",
  run: "r",
  workflow: "w",
  slot: 1,
  step: "s",
  attempt: 1,
  idempotencyKey: "r/1",
  retry: { maxAttempts: 1, initialMs: 0, factor: 1, maxMs: 0, jitter: "none" },
  timeout: {},
  scheduledAt: 0,
  after: 1,
};
const fault = (fn: () => unknown): string => {
  try {
    fn();
    return "fine";
  } catch (error) {
    const { code, path } = error as { code: string; path: string };
    return `${code} at ${path || "-"}`;
  }
};

describe("a command", () => {
  it.each<[string, string, string, string]>([
    ["can be read", subject, JSON.stringify(valid), "fine"],
    ["from a newer writer can be read", subject, JSON.stringify({ ...valid, extra: 1 }), "fine"],
    ["is JSON", subject, "{", "MALFORMED_MESSAGE at -"],
    ["is not empty", subject, "", "MALFORMED_MESSAGE at -"],
    ["is of a known version", subject, JSON.stringify({ ...valid, v: 2 }), "MALFORMED_MESSAGE at v"],
    ["has the fields", subject, JSON.stringify({ ...valid, retry: {} }), "MALFORMED_MESSAGE at retry.maxAttempts"],
    ["is of its subject's run (P1)", subjects.command("s", "q", 1), JSON.stringify(valid), "MALFORMED_MESSAGE at run"],
    [
      "is of its subject's slot (P1)",
      subjects.command("s", "r", 2),
      JSON.stringify(valid),
      "MALFORMED_MESSAGE at slot",
    ],
    [
      "is of its subject's step (P1)",
      subjects.command("t", "r", 1),
      JSON.stringify(valid),
      "MALFORMED_MESSAGE at step",
    ],
    ["has a command's subject", "ns.command.s", JSON.stringify(valid), "MALFORMED_MESSAGE at -"],
    ["is of its run's partition", "ns.command.s.77.r.1", JSON.stringify(valid), "MALFORMED_MESSAGE at -"],
  ])("%s", (_sentence, on, text, expected) => expect(fault(() => readCommand(subjects, on, 1, text))).toBe(expected));
});

describe("an output that fits no message", () => {
  const any = step("s", { input: z.any(), output: z.any() });
  it.each([
    ["of a little too much", 256 * 1024 * 1024],
    ["of more than a text can have", 2 ** 29 - 25],
  ])("%s is refused, with the limit", (_how, length) => {
    const output = "x".repeat(length);
    expect(() => writeOutput(any, output, where)).toThrow(
      /The output of step "s" is not valid: it has .* bytes.* limit is 268369920/,
    );
  });
});

describe("an input and an output", () => {
  const s = step("s", {
    input: z.object({ lines: z.array(z.object({ cents: z.int() })) }),
    output: z.object({ at: z.iso.datetime(), n: z.number().default(1) }),
    errors: { Declined: z.object({ why: z.string() }) },
  });
  const at = "2026-01-01T00:00:00.000Z";
  const loop: { self?: unknown } = {};
  loop.self = loop;
  const throwing = step("s", {
    input: z.any().refine(() => {
      throw new Error("bug");
    }),
    output: z.any(),
  });

  it.each<[string, () => unknown, string]>([
    ["an input fits", () => readInput(s, { lines: [{ cents: 1 }] }, where), "fine"],
    [
      "or its fault has a path",
      () => readInput(s, { lines: [{ cents: "1" }] }, where),
      "INVALID_INPUT at lines[0].cents",
    ],
    ["a schema that throws is a fault", () => readInput(throwing, 1, where), "INVALID_INPUT at -"],
    ["an output fits", () => writeOutput(s, { at, n: 2 }, where), "fine"],
    [
      "as the run will see it: a Date stays one (P2)",
      () => writeOutput(s, { at: new Date(at) }, where),
      "INVALID_OUTPUT at at",
    ],
    ["a number that is none is a fault", () => writeOutput(s, { at, n: Number.NaN }, where), "INVALID_OUTPUT at n"],
    [
      "a circle is a fault",
      () => writeOutput(step("s", { input: z.any(), output: z.any() }), loop, where),
      "INVALID_OUTPUT at self",
    ],
    ["a declared error fits", () => checkDeclared(s, "Declined", { why: "x" }, where), "fine"],
    ["or not", () => checkDeclared(s, "Declined", {}, where), "INVALID_OUTPUT at why"],
    ["an undeclared one never", () => checkDeclared(s, "toString", {}, where), "INVALID_OUTPUT at -"],
  ])("%s", (_sentence, fn, expected) => expect(fault(fn)).toBe(expected));

  it("are sent as the handler returned them, defaults not filled in (P2)", () => {
    expect(writeOutput(s, { at }, where)).toBe(JSON.stringify({ at }));
    expect(writeOutput(step("s", { input: z.any(), output: z.void() }), undefined, where)).toBe("");
  });
});
