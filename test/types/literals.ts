/**
 * Outputs, answers and inputs of literal types, written without `as const`. Read by tsc alone; nothing here is run.
 * Literals that do not fit are in wrong-wiring.ts.
 */

import { type AnyStep, type Client, isStepError, pipeline, step, workflow } from "@stepstream/sdk";
import type { Handler, Worker } from "@stepstream/step-worker";
import { handle, type TestEnvironment } from "@stepstream/testing";
import { z } from "zod";

declare const worker: Worker;
declare const env: TestEnvironment;
declare const client: Client;

const Mode = z.enum(["a", "b"]);
const Result = z.discriminatedUnion("type", [
  z.object({ type: z.literal("ok"), n: z.number() }),
  z.object({ type: z.literal("no"), why: Mode }),
]);
const Nested = z.object({
  mode: Mode,
  kind: z.literal("x"),
  inner: z.object({
    list: z.array(Mode),
    pair: z.tuple([z.literal("p"), z.number()]),
    maybe: Mode.nullable().optional(),
  }),
});

const object = step("object", { input: z.void(), output: z.object({ mode: Mode }) });
const nested = step("nested", { input: z.string(), output: Nested });
const union = step("union", { input: z.string(), output: Result });
const bare = step("bare", { input: z.string(), output: Mode });
const only = step("only", { input: z.string(), output: z.literal(1) });
const list = step("list", { input: z.string(), output: z.array(Mode) });
const tuple = step("tuple", { input: z.string(), output: z.tuple([z.literal(1), Mode]) });
const none = step("none", { input: z.string(), output: z.void() });
const literalInput = step("literal-input", {
  input: z.object({ mode: Mode, result: Result }),
  output: z.union([Mode, z.number()]),
});

// ---------------------------------------------------------------- handlers, with and without parameters, chained

worker
  .handle(object, async () => ({ mode: "a" }))
  .handle(object, () => ({ mode: "a" }))
  .handle(nested, async (input) => ({
    mode: "a",
    kind: "x",
    inner: { list: ["a", input ? "a" : "b"], pair: ["p", 1] },
  }))
  .handle(nested, (_input, ctx) => ({ mode: "b", kind: "x", inner: { list: [], pair: ["p", ctx.slot], maybe: null } }))
  .handle(nested, async () => {
    const inner = { list: [], pair: ["p", 1] satisfies [string, number] as ["p", number] };
    return { mode: "a", kind: "x", inner };
  })
  .handle(union, async (input) => {
    if (input) return { type: "ok", n: 1 };
    return { type: "no", why: "a" };
  })
  .handle(union, (input) => (input ? { type: "ok", n: 1 } : { type: "no", why: "a" }))
  .handle(bare, async () => "a")
  .handle(bare, () => "a")
  .handle(bare, async (input) => (input ? "a" : "b"))
  .handle(bare, async (_input, ctx) => {
    if (ctx.attempt > 1) return "b";
    return "a";
  })
  .handle(only, async () => 1)
  .handle(only, () => 1)
  .handle(list, async () => ["a", "b"])
  .handle(list, () => ["a"])
  .handle(tuple, async () => [1, "a"])
  .handle(tuple, () => [1, "b"])
  .handle(none, async () => {})
  .handle(none, () => {})
  .handle(literalInput, async ({ mode }) => mode);

declare const given: Handler<typeof bare>;
worker.handle(bare, given);
const named = async (input: string) => ({ type: "ok" as const, n: input.length });
worker.handle(union, named);

/** Code that is generic over steps, and a module that registers its own. */
export function register<S extends AnyStep>(on: Worker, generic: S, handler: NoInfer<Handler<S>>): Worker {
  return on.handle(generic, handler);
}
register(worker, object, async () => ({ mode: "a" }));
register(worker, union, async (input) => (input ? { type: "ok", n: 1 } : { type: "no", why: "a" }));
export const module = (on: Pick<Worker, "handle">) => on.handle(object, async () => ({ mode: "b" }));

// ---------------------------------------------------------------- the test kit

export const handlers = [
  handle(object, async () => ({ mode: "a" })),
  handle(nested, async () => ({ mode: "a", kind: "x", inner: { list: ["a"], pair: ["p", 1] } })),
  handle(union, (input) => (input ? { type: "ok", n: 1 } : { type: "no", why: "a" })),
  handle(bare, async () => "a"),
  handle(tuple, async (_input, ctx) => [1, ctx.attempt > 1 ? "a" : "b"]),
];
env.fake(object, async () => ({ mode: "a" }));
env.fake(bare, async () => "a");
env.fake(bare, () => "a");
env.fake(union, async () => ({ type: "no", why: "b" }));
env.fake(tuple).returns([1, "a"]);
env.fake(nested).returns({ mode: "a", kind: "x", inner: { list: ["a"], pair: ["p", 1] } });

// ---------------------------------------------------------------- workflows

export const flow = workflow(
  "flow",
  {
    input: z.void(),
    output: z.object({ mode: Mode }),
    signals: { mode: Mode },
    queries: { mode: Mode, result: { input: z.number(), output: Result } },
    updates: { nested: { input: z.string(), output: Nested }, bare: { input: z.void(), output: Mode } },
  },
  async (_input, w) => {
    w.onQuery("mode", () => "a");
    w.onQuery("result", (n) => (n > 1 ? { type: "ok", n } : { type: "no", why: "a" }));
    w.onUpdate("nested", async () => ({ mode: "a", kind: "x", inner: { list: ["a"], pair: ["p", 1] } }));
    w.onUpdate("nested", () => ({ mode: "a", kind: "x", inner: { list: ["a"], pair: ["p", 1] } }), {
      validate: () => {},
    });
    w.onUpdate("bare", async () => "a");
    w.onUpdate("bare", () => "b");
    await w.run(literalInput, { mode: "a", result: { type: "ok", n: 1 } });
    await w.map(["a", "b"], (item) => w.run(bare, item));
    return { mode: "a" };
  },
);
workflow("bare", { input: z.void(), output: Mode }, async () => "a");
workflow("tuple", { input: z.void(), output: z.tuple([Mode, z.literal(1)]) }, async () => ["a", 1]);
workflow("union", { input: z.string(), output: Result }, async (input) => {
  if (input) return { type: "ok", n: 1 };
  return { type: "no", why: "a" };
});
client.start(flow, undefined);
client.runStep(literalInput, { mode: "a", result: { type: "no", why: "b" } });
client.handle(flow, "f").signal("mode", "a");

// ---------------------------------------------------------------- pipelines

const numbers = z.union([Mode, z.number()]);
pipeline("steps", { input: z.string(), output: z.array(numbers) })
  .step("first", bare)
  .map("all", literalInput, (s) => [
    { mode: s.first, result: { type: "ok", n: 1 } },
    { mode: "b", result: { type: "no", why: "a" } },
  ])
  .build();
pipeline("step", { input: z.string(), output: numbers })
  .step("one", literalInput, () => ({ mode: "a", result: { type: "ok", n: 1 } }))
  .build();
pipeline("parallel", { input: z.string(), output: z.object({ x: numbers, y: Mode }) })
  .parallel({ x: [literalInput, (_s) => ({ mode: "a", result: { type: "ok", n: 1 } })], y: [bare, () => "a"] })
  .build();

// ---------------------------------------------------------------- declared errors, at the caller

const charge = step("charge", {
  input: z.void(),
  output: z.void(),
  errors: { Declined: z.object({ reason: Mode }), Closed: z.void() },
});
worker.handle(charge, (_input, ctx) => ctx.fail("Declined", { reason: "a" }));
env.fake(charge).failsWith("Declined", { reason: "b" });
export const caught = workflow("caught", { input: z.void(), output: Mode }, async (_input, w) => {
  try {
    await w.run(charge, undefined);
  } catch (error) {
    if (isStepError(error, charge, "Declined")) return error.cause.data.reason;
    if (isStepError(error, charge)) throw error.cause;
    throw error;
  }
  return "b";
});
