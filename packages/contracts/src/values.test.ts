import { describe, expect, it } from "vitest";
import { z } from "zod";
import { DeclaredError, StepError } from "./errors.ts";
import { fromFailure, toFailure } from "./failure.ts";
import { schemaFault } from "./schema-walk.ts";
import { type Checked, checkValue, fromWire, toWire } from "./values.ts";

const shown = (read: Checked) => (read.ok ? read.value : `${read.path || "-"}: ${read.message}`);
const ASYNC = "-: its schema is async, and async schemas are not supported. Check in a step what takes time to check";
const bug = (): never => {
  throw new Error("bug");
};

describe("a schema of a user's", () => {
  it.each<[string, z.ZodType, unknown, unknown]>([
    ["transforms", z.object({ a: z.string().transform(Number) }), { a: "1" }, { a: 1 }],
    ["fills in", z.object({ a: z.number().default(1) }), {}, { a: 1 }],
    [
      "says where",
      z.object({ a: z.array(z.string()) }),
      { a: ["x", 1] },
      "a[1]: Invalid input: expected string, received number",
    ],
    [
      "says where, with code of the user's in it",
      z.object({ a: z.array(z.string().refine((s) => s !== "b", "not b")) }),
      { a: ["b"] },
      "a[0]: not b",
    ],
    ["has a refinement that throws", z.any().refine(bug), 1, "-: its schema threw (bug)"],
    ["has a transform that throws", z.object({ a: z.any().transform(bug) }), { a: 1 }, "-: its schema threw (bug)"],
    ["has a preprocess that throws", z.preprocess(bug, z.string()), 1, "-: its schema threw (bug)"],
    ["has a message that throws", z.string({ error: bug }), 1, "-: its schema threw (bug)"],
    ["has a default that throws", z.string().default(bug), undefined, "-: its schema threw (bug)"],
    ["is lazy and throws", z.lazy(bug), 1, "-: its schema threw (bug)"],
    [
      "throws what is no error",
      z.any().refine(() => {
        throw {
          get message() {
            return bug();
          },
        };
      }),
      1,
      "-: its schema threw (Something was thrown that cannot be read.)",
    ],
    ["has an async refinement", z.any().refine(async () => true), 1, ASYNC],
    ["has an async refinement that rejects", z.any().refine(async () => bug()), 1, ASYNC],
    [
      "has two async refinements",
      z
        .string()
        .refine(async () => true)
        .refine(async () => bug()),
      "a",
      ASYNC,
    ],
    ["has an async transform", z.object({ a: z.string().transform(async (s) => s) }), { a: "a" }, ASYNC],
    ["has an async transform that rejects", z.string().transform(async () => bug()), "a", ASYNC],
    ["returns a promise from a plain function", z.string().refine(() => Promise.reject(new Error("late"))), "a", ASYNC],
    ["is a promise", z.promise(z.string()), Promise.resolve("a"), ASYNC],
    [
      "has an async codec",
      z.codec(z.string(), z.number(), { decode: async (s) => Number(s), encode: String }),
      "1",
      ASYNC,
    ],
    ["is async behind a union", z.union([z.number(), z.string().superRefine(async () => {})]), "a", ASYNC],
  ])("%s (V1)", (_what, schema, value, expected) => expect(shown(checkValue(schema, value))).toEqual(expected));

  it.each<[string, unknown, string | undefined]>([
    [
      "is fine",
      z.object({
        a: z.date(),
        b: z.map(z.string(), z.bigint()),
        c: z.instanceof(Uint8Array),
        d: z.nan(),
        e: z.set(z.any()),
      }),
      undefined,
    ],
    [
      "may turn into anything",
      z
        .string()
        .transform((s) => () => s)
        .pipe(z.any()),
      undefined,
    ],
    ["may be lazy and of a later constant", z.lazy(bug), undefined],
    ["is not there", undefined, "-: it is missing. Use a schema such as z.object({ … })"],
    [
      "is of something else",
      { parse: () => 1 },
      "-: it is not a schema of zod 4. Use a schema such as z.object({ … })",
    ],
    [
      "has an async refinement",
      z.object({ a: z.array(z.string().refine(async () => true)) }),
      "a: async schemas are not supported. Check in a step what takes time to check",
    ],
    [
      "has an async transform",
      z.object({ a: z.string().transform(async () => 1) }),
      "a: async schemas are not supported. Check in a step what takes time to check",
    ],
    [
      "has an async codec",
      z.codec(z.string(), z.number(), { decode: async (s) => Number(s), encode: String }),
      "-: async schemas are not supported. Check in a step what takes time to check",
    ],
    [
      "holds a function",
      z.object({ on: z.object({ end: z.function() }) }),
      "on.end: a value of z.function() cannot be sent. Use a schema of plain data",
    ],
    [
      "holds a symbol",
      z.tuple([z.string(), z.symbol()]),
      "[1]: a value of z.symbol() cannot be sent. Use a schema of plain data",
    ],
    [
      "holds a promise",
      z.object({ a: z.promise(z.string()) }),
      "a: a value of z.promise() cannot be sent. Use a schema of plain data",
    ],
    [
      "holds a file",
      z.object({ a: z.file().optional() }),
      "a: a value of z.file() cannot be sent. Use a schema of plain data",
    ],
  ])("is looked at when it is defined: it %s", (_what, schema, expected) => {
    const fault = schemaFault(schema);
    expect(
      fault &&
        shown({
          ok: false,
          path: fault.path.map((k) => (typeof k === "number" ? `[${k}]` : k)).join("."),
          message: fault.message,
        }),
    ).toBe(expected);
  });

  it("may be hostile: whatever reading it throws", () => {
    const internals = {
      run: bug,
      get def(): never {
        return bug();
      },
    };
    const hostile = { _zod: internals } as unknown as z.ZodType;
    expect(schemaFault(hostile)).toBeUndefined();
    expect(shown(checkValue(hostile, 1))).toBe("-: its schema threw (bug)");
    const unreadable = new Proxy({}, { get: bug });
    expect(schemaFault(unreadable)?.message).toContain("it is not a schema of zod 4");
    expect(shown(checkValue(unreadable as z.ZodType, 1))).toBe("-: its schema threw (bug)");
  });

  it("may be recursive", () => {
    const tree = z.object({
      name: z.string(),
      get children() {
        return z.array(tree);
      },
    });
    expect(schemaFault(tree)).toBeUndefined();
    expect(checkValue(tree, { name: "a", children: [{ name: "b", children: [] }] }).ok).toBe(true);
  });
});

describe("a value that crosses the bus", () => {
  const at = new Date("2026-11-26T00:00:00.000Z");

  it("is sent as it was given, and each side transforms it (V2)", () => {
    const schema = z.object({ n: z.string().transform(Number), d: z.number().default(1) });
    const sent = toWire(schema, { n: "5" });
    expect(sent).toEqual({ ok: true, value: { n: "5" } });
    expect(fromWire(schema, sent.ok && sent.value)).toEqual({ ok: true, value: { n: 5, d: 1 } });
  });

  it("is checked as its receiver has it (V3)", () => {
    const exact = z.record(z.string(), z.number());
    expect(shown(toWire(exact, { a: 1, b: undefined }))).toEqual({ a: 1 });
    expect(shown(toWire(z.object({ at: z.string() }), { at }))).toBe(
      "at: Invalid input: expected string, received Date",
    );
  });

  it.each<[string, z.ZodType, unknown]>([
    ["z.date()", z.date(), at],
    ["z.bigint()", z.bigint(), 5n],
    ["z.map()", z.map(z.string(), z.date()), new Map([["a", at]])],
    ["z.set()", z.set(z.bigint()), new Set([1n])],
    ["z.instanceof(Uint8Array)", z.instanceof(Uint8Array), new Uint8Array([1])],
    ["z.instanceof(Buffer)", z.instanceof(Buffer), Buffer.from("a")],
    ["z.nan()", z.nan(), Number.NaN],
    ["z.void()", z.void(), undefined],
    ["z.any()", z.any(), [undefined, -0, Number.POSITIVE_INFINITY]],
  ])("%s fits its own schema on the other side", (_what, schema, value) => {
    const sent = toWire(schema, value);
    expect(sent.ok).toBe(true);
    const text = JSON.stringify(sent.ok && sent.value);
    expect(fromWire(schema, text === undefined ? undefined : JSON.parse(text))).toEqual({ ok: true, value });
  });

  it("is refused with its path where it cannot be sent, or is not what it says", () => {
    expect(shown(toWire(z.any(), { list: [() => 1] }))).toBe("list[0]: a function cannot be sent");
    expect(shown(fromWire(z.any(), { a: { $type: "Date", value: "?" } }))).toBe(
      'a: its "$type" is "Date", but its value is not one',
    );
  });

  it("survives in the errors that carry values: of declared errors the data, of a failed step the input", () => {
    const data = { at, n: 1n, $type: "x", gone: undefined };
    const back = (error: Error) =>
      fromFailure(JSON.parse(JSON.stringify(toFailure(fromFailure(JSON.parse(JSON.stringify(toFailure(error))))))));
    expect((back(new DeclaredError("Late", data)) as DeclaredError).data).toEqual({ at, n: 1n, $type: "x" });
    const step = new StepError({ run: "r", step: "s", slot: 1, attempt: 1 }, data, new Error("x"));
    expect((back(step) as StepError).input).toEqual({ at, n: 1n, $type: "x" });
    // What cannot be sent is kept as far as JSON goes: the error must be reported.
    expect((back(new DeclaredError("Late", { at, f: () => 1 })) as DeclaredError).data).toEqual({
      at: at.toISOString(),
    });
  });
});
