import { describe, expect, it } from "vitest";
import { compile } from "./compile.ts";

/**
 * Each shape of output with a value that fits it, without `as const`, and values that do not; each in every member that
 * takes an output, in every form of function. What fits compiles, and what does not is refused in few words.
 */
interface Shape {
  schema: string;
  right: string;
  wrong: readonly string[];
}

const MODE = `z.enum(["a", "b"])`;
const SHAPES: Record<string, Shape> = {
  enum: { schema: MODE, right: `"a"`, wrong: [`"c"`, `undefined`, `5`] },
  literal: { schema: `z.literal("x")`, right: `"x"`, wrong: [`"y"`] },
  object: {
    schema: `z.object({ mode: ${MODE}, n: z.number() })`,
    right: `{ mode: "a", n: 1 }`,
    wrong: [`{ mode: "c", n: 1 }`, `{ mode: "a" }`, `{ mode: "a", n: "1" }`, `null`],
  },
  union: {
    schema: `z.discriminatedUnion("type", [z.object({ type: z.literal("ok"), n: z.number() }), z.object({ type: z.literal("no") })])`,
    right: `{ type: "ok", n: 1 }`,
    wrong: [`{ type: "ok" }`, `{ type: "maybe" }`],
  },
  nested: {
    schema: `z.object({ a: z.object({ list: z.array(z.object({ mode: ${MODE}, kind: z.literal("x") })) }) })`,
    right: `{ a: { list: [{ mode: "b", kind: "x" }] } }`,
    wrong: [`{ a: { list: [{ mode: "c", kind: "x" }] } }`, `{ a: { list: {} } }`, `{ a: 1 }`],
  },
  list: { schema: `z.array(${MODE})`, right: `["a", "b"]`, wrong: [`["c"]`, `"a"`] },
  tuple: { schema: `z.tuple([z.literal(1), ${MODE}])`, right: `[1, "a"]`, wrong: [`[2, "a"]`, `[1]`] },
  optional: {
    schema: `z.object({ mode: ${MODE}.optional(), note: z.string().nullable() })`,
    right: `{ note: null }`,
    wrong: [`{ mode: "c", note: null }`, `{}`],
  },
  readonly: {
    schema: `z.object({ list: z.array(${MODE}) }).readonly()`,
    right: `{ list: ["a"] }`,
    wrong: [`{ list: ["c"] }`],
  },
  transform: {
    schema: `z.object({ at: z.string().transform((text) => text.length) })`,
    right: `{ at: "x" }`,
    wrong: [`{ at: 1 }`],
  },
  date: { schema: `z.object({ at: z.date() })`, right: `{ at: new Date(0) }`, wrong: [`{ at: "today" }`] },
  record: { schema: `z.record(z.string(), ${MODE})`, right: `{ x: "a" }`, wrong: [`{ x: "c" }`] },
  recursive: { schema: `z.json()`, right: `{ a: [1, { b: null }] }`, wrong: [`{ a: () => 1 }`] },
  large: {
    schema: `z.object({ customerName: z.string(), deliveryAddress: z.object({ street: z.string(), city: z.string(), zip: z.string(), country: z.enum(["DE", "FR", "US"]) }), lines: z.array(z.object({ sku: z.string(), quantity: z.number(), price: z.number() })), mode: ${MODE}, note: z.string().optional(), createdAt: z.date(), total: z.number() })`,
    right: `{ customerName: "x", deliveryAddress: { street: "x", city: "x", zip: "x", country: "DE" }, lines: [{ sku: "x", quantity: 1, price: 1 }], mode: "a", createdAt: new Date(0), total: 1 }`,
    wrong: [
      `{ customerName: "x", deliveryAddress: { street: "x", city: "x", zip: "x", country: "GB" }, lines: [{ sku: "x", quantity: 1, price: 1 }], mode: "a", createdAt: new Date(0), total: 1 }`,
      `largeOfAnother`,
      `{}`,
    ],
  },
};

const MEMBERS: Record<string, (shape: string, fn: (given: string) => string) => string> = {
  "worker.handle": (shape, fn) => `worker.handle(${shape}, ${fn("input, ctx")});`,
  "handle of the test kit": (shape, fn) => `handle(${shape}, ${fn("input, ctx")});`,
  "env.fake": (shape, fn) => `env.fake(${shape}, ${fn("input, ctx")});`,
  workflow: (shape, fn) => `workflow("w", { input: z.any(), output: ${shape}.output }, ${fn("input, w")});`,
  "w.onUpdate": (shape, fn) => `on_${shape}.onUpdate("it", ${fn("input")});`,
};
const FORMS: Record<string, (value: string) => (given: string) => string> = {
  expression: (value) => (given) => `async (${given}) => (${value})`,
  block: (value) => (given) => `async (${given}) => { const made = input; void made; return ${value}; }`,
  "no parameters": (value) => () => `async () => { return ${value}; }`,
};

/** What a caller passes, written in place. */
const CALLERS: Record<string, (shape: string, value: string) => string> = {
  "w.run": (shape, value) => `w.run(${shape}, ${value});`,
  "w.child": (shape, value) => `w.child(flow_${shape}, ${value});`,
  "client.start": (shape, value) => `client.start(flow_${shape}, ${value});`,
  "client.runStep": (shape, value) => `client.runStep(${shape}, ${value});`,
};

const head = [
  `import { type Client, step, type WorkflowContext, workflow } from "@stepstream/sdk";`,
  `import type { Worker } from "@stepstream/step-worker";`,
  `import { handle, type TestEnvironment } from "@stepstream/testing";`,
  `import { z } from "zod";`,
  `declare const worker: Worker; declare const env: TestEnvironment; declare const client: Client; declare const w: WorkflowContext;`,
  `declare const largeOfAnother: { customer: string; deliveryAddresses: { street: string; city: string; zip: string; country: string }[]; lines: { sku: string; quantity: string; price: number }[]; mode: string; note: number; createdAt: string; total: string };`,
  ...Object.entries(SHAPES).flatMap(([shape, { schema }]) => [
    `const s_${shape} = ${schema}; const ${name(shape)} = step("${shape}", { input: s_${shape}, output: s_${shape} });`,
    `const flow_${name(shape)} = workflow("${shape}", { input: s_${shape}, output: z.any() }, async () => 1);`,
    `declare const on_${name(shape)}: WorkflowContext<{}, {}, { it: { input: typeof s_${shape}; output: typeof s_${shape} } }>;`,
  ]),
];
function name(shape: string): string {
  return `the_${shape}`;
}

interface Case {
  what: string;
  line: string;
  fits: boolean;
  shape: string;
}
const outputs = Object.entries(MEMBERS).flatMap(([member, call]) =>
  Object.entries(SHAPES).flatMap(([shape, { right, wrong }]) =>
    Object.entries(FORMS).flatMap(([form, make]) =>
      [right, ...wrong].map(
        (value, i): Case => ({
          what: `${member}, ${shape}, ${form}: ${value.slice(0, 60)}`,
          line: call(name(shape), make(value)),
          fits: i === 0,
          shape,
        }),
      ),
    ),
  ),
);
const inputs = Object.entries(CALLERS).flatMap(([caller, call]) =>
  Object.entries(SHAPES).flatMap(([shape, { right, wrong }]) =>
    [right, ...wrong].map(
      (value, i): Case => ({
        what: `${caller}, ${shape}: ${value.slice(0, 60)}`,
        line: call(name(shape), value),
        fits: i === 0,
        shape,
      }),
    ),
  ),
);

describe("what tsc says of a value that a schema does not take", async () => {
  const cases = [...outputs, ...inputs];
  const messages = await compile([...head, ...cases.map(({ line }) => line), "export {};"].join("\n"));
  const said = cases.map((one, i) => ({ ...one, message: messages.get(head.length + i + 1) }));

  it("is nothing where it fits, without `as const`", () => {
    expect(said.filter(({ fits, message }) => fits && message !== undefined)).toEqual([]);
    expect([...messages.keys()].filter((line) => line <= head.length)).toEqual([]);
  });

  it("is something wherever it does not fit", () => {
    expect(said.filter(({ fits, message }) => !fits && message === undefined)).toEqual([]);
    expect(said.filter(({ fits }) => !fits).length).toBeGreaterThan(400);
  });

  it("is at most 300 characters, the lines below the first included", () => {
    const large = (one: Case) => inputs.includes(cases.find(({ what }) => what === one.what)!) && one.shape === "large";
    const long = said.filter((one) => !large(one) && (one.message?.trimEnd().length ?? 0) > 300);
    expect(long.map(({ what, message }) => `${message!.length} ${what}: ${message}`)).toEqual([]);
  });

  it("names the place of the fault in an output", () => {
    const places = said
      .filter(({ what, fits }) => !fits && /^w\.onUpdate, (nested|large), block/.test(what))
      .map(({ message }) => /does not fit: ([^"]+)"/.exec(message!)?.[1]);
    expect(places).toEqual(["a.list[].mode", "a.list", "a", "deliveryAddress.country", "total", "total"]);
  });
});
