/**
 * Wiring that must not compile, each with the message that it must be refused with.
 *
 * tsc proves that each line is refused (an unused expectation is an error); wrong-wiring.test.ts takes the
 * expectations away, runs tsc, and proves that each is refused for the reason written here. One line each.
 */

import { type Client, isStepError, pipeline, step, type WorkflowContext, workflow } from "@stepstream/sdk";
import type { Worker } from "@stepstream/step-worker";
import { handle, type TestEnvironment } from "@stepstream/testing";
import { z } from "zod";

const Order = z.object({ id: z.string(), cents: z.int() });
const Receipt = z.object({ receipt: z.string() });
const charge = step("charge", { input: Order, output: Receipt });
const print = step("print", { input: Receipt, output: z.string() });
const measure = step("measure", { input: z.string(), output: z.number() });
const order = workflow("order", { input: Order, output: Receipt }, (input, w) => w.run(charge, input));
declare const w: WorkflowContext;
declare const client: Client;
declare const receipt: { receipt: string };

// ---------------------------------------------------------------- steps and workflows

// @ts-expect-error: Property 'cents' is missing in type '{ id: string; }'
w.run(charge, { id: "o" });
// @ts-expect-error: Type 'string' is not assignable to type 'number'
w.run(charge, { id: "o", cents: "100" });
// @ts-expect-error: 'amount' does not exist in type '{ id: string; cents: number; }'
w.run(charge, { id: "o", cents: 1, amount: 1 });
// @ts-expect-error: Argument of type '{ receipt: string; }' is not assignable to parameter of type 'string'
w.run(charge, { id: "o", cents: 1 }).then((paid) => w.run(measure, paid));
// @ts-expect-error: Argument of type 'Promise<string>' is not assignable to parameter of type 'string'
w.run(measure, w.run(print, receipt));
// @ts-expect-error: Type 'string' is not assignable to type 'number'
const size: number = await w.run(print, receipt);
// @ts-expect-error: Property 'labels' does not exist on type '{ label: string; size: number; }'
(await w.all({ label: w.run(print, receipt), size: w.run(measure, "x") })).labels;
// @ts-expect-error: Property 'value' does not exist on type 'PromiseSettledResult<number>'
(await w.allSettled([w.run(measure, "x")]))[0].value;
// @ts-expect-error: Argument of type 'number' is not assignable to parameter of type 'string'
w.map([1, 2], (n) => w.run(measure, n));
// @ts-expect-error: Argument of type 'string' is not assignable to parameter of type '{ receipt: string; }'
w.compensate(print, "r-1");
// @ts-expect-error: Argument of type '"10 minutes"' is not assignable to parameter of type 'Duration'
w.sleep("10 minutes");
// @ts-expect-error: "The workflow's output does not fit: wrong type"
workflow("w", { input: Receipt, output: Receipt }, (input, w) => w.run(print, input));
// @ts-expect-error: Property 'id' does not exist on type '{ receipt: string; }'
workflow("w", { input: Receipt, output: z.string() }, async (input) => input.id);
// @ts-expect-error: 'attempts' does not exist in type
step("s", { input: Order, output: Order, retry: { attempts: 3 } });
// @ts-expect-error: Type '"5 min"' is not assignable to type 'Duration | undefined'
step("s", { input: Order, output: Order, timeout: { attempt: "5 min" } });

// ---------------------------------------------------------------- pipelines

const flow = pipeline("flow", { input: Order, output: z.number() });
const paid = flow.step("paid", charge);

// @ts-expect-error: Expected 3 arguments, but got 2
flow.step("label", print);
// @ts-expect-error: Expected 3 arguments, but got 2
paid.step("size", measure);
// @ts-expect-error: Type 'number' is not assignable to type 'string'
paid.step("label", print, (s) => ({ receipt: s.input.cents }));
// @ts-expect-error: Property 'charged' does not exist on type
paid.step("label", print, (s) => s.charged);
// @ts-expect-error: Type 'string' is not assignable to type 'readonly { receipt: string; }[]'
paid.map("labels", print, (s) => s.paid.receipt);
// @ts-expect-error: Type 'number' is not assignable to type 'string'
paid.parallel({ a: [measure, (s) => s.paid.receipt], b: [measure, (s) => s.input.cents] });
// @ts-expect-error: Property 'length' does not exist on type 'PromiseSettledResult<string>'
paid.parallel({ a: [print, (s) => s.paid] }, { mode: "allSettled" }).map("m", measure, (s) => [s.a.length]);
// @ts-expect-error: Argument of type '"paid"' is not assignable to parameter of type '"there is a node \"paid\" already"'
paid.step("paid", print);
// @ts-expect-error: Argument of type '"input"' is not assignable to parameter of type '"there is a node \"input\" already"'
flow.step("input", charge);
// @ts-expect-error: is not assignable to type '"there is a node \"paid\" already"'
paid.parallel({ paid: [print, () => receipt] });
// @ts-expect-error: Argument of type '{ level: number; }' is not assignable to parameter of type 'GateNode'
paid.gate("lint", { level: 1 });
// @ts-expect-error: LastOutputDoesNotFitPipelineOutput<{ receipt: string; }, number>
paid.build();
// @ts-expect-error: LastOutputDoesNotFitPipelineOutput<number[], number>
paid
  .step("label", print)
  .map("sizes", measure, (s) => [s.label])
  .build();

// ---------------------------------------------------------------- handlers

declare const worker: Worker;
const pay = step("pay", { input: Order, output: Receipt, errors: { CardDeclined: z.object({ reason: z.string() }) } });

// @ts-expect-error: "The handler's output does not fit: wrong type"
worker.handle(pay, async (input) => input.id);
// @ts-expect-error: Property 'amount' does not exist on type '{ id: string; cents: number; }'
worker.handle(pay, async (input) => ({ receipt: String(input.amount) }));
// @ts-expect-error: Argument of type '"CardExpired"' is not assignable to parameter of type '"CardDeclined"'
worker.handle(pay, async (_input, ctx) => ctx.fail("CardExpired", {}));
// @ts-expect-error: Property 'reason' is missing in type '{}'
worker.handle(pay, async (_input, ctx) => ctx.fail("CardDeclined", {}));
// @ts-expect-error: Argument of type '"CardDeclined"' is not assignable to parameter of type 'never'
worker.handle(charge, async (_input, ctx) => ctx.fail("CardDeclined", { reason: "x" }));

// ---------------------------------------------------------------- literals

const Mode = z.enum(["a", "b"]);
const mode = step("mode", {
  input: z.string(),
  output: z.object({ mode: Mode, kind: z.literal("x") }),
  errors: { Bad: z.object({ why: Mode }) },
});
const bare = step("bare", { input: z.string(), output: Mode });
const tuple = step("tuple", { input: z.string(), output: z.tuple([z.literal(1), Mode]) });
const either = z.discriminatedUnion("type", [
  z.object({ type: z.literal("ok"), n: z.number() }),
  z.object({ type: z.literal("no") }),
]);
const union = step("union", { input: z.string(), output: either });
declare const env: TestEnvironment;
declare const caught: unknown;

// @ts-expect-error: "The handler's output does not fit: mode"
worker.handle(mode, async () => ({ mode: "c", kind: "x" }));
// @ts-expect-error: "The handler's output does not fit: kind"
worker.handle(mode, async () => ({ mode: "a" }));
// @ts-expect-error: "The handler's output does not fit: mode"
worker.handle(mode, () => ({ mode: "c", kind: "x" }));
// @ts-expect-error: "The handler's output does not fit: wrong type"
worker.handle(bare, async () => "c");
// @ts-expect-error: "The handler's output does not fit: wrong type"
worker.handle(bare, (input) => input);
// @ts-expect-error: "The handler's output does not fit: []"
worker.handle(tuple, async () => [1, "c"]);
// @ts-expect-error: "The handler's output does not fit: wrong type"
worker.handle(union, async () => ({ type: "ok" }));
// @ts-expect-error: "The handler's output does not fit: wrong type"
worker.handle(union, async (input) => (input ? { type: "no" } : { type: "maybe" }));
// @ts-expect-error: "The handler's output does not fit: wrong type"
handle(bare, async () => "c");
// @ts-expect-error: "The handler's output does not fit: wrong type"
env.fake(bare, async () => "c");
// @ts-expect-error: Type '"c"' is not assignable to type '"a" | "b"'
env.fake(mode).returns({ mode: "c", kind: "x" });
// @ts-expect-error: Type '"c"' is not assignable to type '"a" | "b"'
worker.handle(mode, (_input, ctx) => ctx.fail("Bad", { why: "c" }));
// @ts-expect-error: "The workflow's output does not fit: wrong type"
workflow("w", { input: z.void(), output: Mode }, async () => "c");
// @ts-expect-error: "The workflow's output does not fit: mode"
workflow("w", { input: z.void(), output: z.object({ mode: Mode }) }, async () => ({ mode: "c" }));
// @ts-expect-error: Argument of type '"Worse"' is not assignable to parameter of type '"Bad"'
isStepError(caught, mode, "Worse");
// @ts-expect-error: Property 'when' does not exist on type '{ why: "a" | "b"; }'
if (isStepError(caught, mode, "Bad")) caught.cause.data.when;

// ---------------------------------------------------------------- clients

// @ts-expect-error: Property 'cents' is missing in type '{ id: string; }'
client.start(order, { id: "o" });
// @ts-expect-error: Type '"replace"' is not assignable to type
client.start(order, { id: "o", cents: 1 }, { onConflict: "replace" });
// @ts-expect-error: Type '{ receipt: string; }' is not assignable to type 'string'
const result: string = await client.handle(order, "o").result();
// @ts-expect-error: is of type 'unknown'
(await client.get("o").result()).receipt;
// @ts-expect-error: Type '"done"' is not assignable to type 'readonly RunState[] | RunState | undefined'
client.list({ status: "done" });

// ---------------------------------------------------------------- signals, queries, updates, children

const Approval = z.object({ by: z.string() });
const limits = {
  input: z.object({ id: z.string() }),
  output: z.number(),
  signals: { approve: Approval },
  queries: { status: z.string(), over: { input: z.number(), output: z.boolean() } },
  updates: { raise: { input: z.int(), output: z.int() } },
};
declare const l: WorkflowContext<typeof limits.signals, typeof limits.queries, typeof limits.updates>;
const limit = workflow("limit", limits, async (_input, w) => (await w.waitFor("approve")).by.length);
const run = client.handle(limit, "l-1");

// @ts-expect-error: Argument of type '"aprove"' is not assignable to parameter of type '"approve"'
l.waitFor("aprove");
// @ts-expect-error: Argument of type '"approve"' is not assignable to parameter of type 'never'
w.waitFor("approve");
// @ts-expect-error: is possibly 'undefined'
(await l.waitFor("approve", { timeout: "1h" })).by;
// @ts-expect-error: Property 'from' does not exist on type '{ by: string; }'
(await l.waitFor("approve")).from;
// @ts-expect-error: Argument of type '"state"' is not assignable to parameter of type '"over" | "status"'
l.onQuery("state", () => "x");
// @ts-expect-error: "The handler's output does not fit: wrong type"
l.onQuery("status", () => 1);
// @ts-expect-error: "The handler's output does not fit: wrong type"
l.onQuery("status", async () => "x");
// @ts-expect-error: "The handler's output does not fit: wrong type"
l.onUpdate("raise", () => "x");
// @ts-expect-error: Property 'length' does not exist on type 'number'
l.onUpdate("raise", (by) => by.length);
// @ts-expect-error: Type 'Promise<undefined>' is not assignable to type 'void | NotAPromise'
l.onUpdate("raise", (by) => by, { validate: async (by) => void by });
// @ts-expect-error: This callback must not be async. Use a step instead.
w.sideEffect(async () => 1);
// @ts-expect-error: Type 'Promise<boolean>' is not assignable to type 'boolean'
w.until(async () => true);
// @ts-expect-error: Type 'Promise<boolean>' is not assignable to type 'boolean'
l.waitFor("approve", { where: async ({ by }) => by === "eva" });
// @ts-expect-error: Property 'to' does not exist on type '{ by: string; }'
l.waitFor("approve", { where: ({ to }) => to === "eva" });
// @ts-expect-error: '"later"' is not assignable to type
l.waitFor("approve", { timeout: "1h", onTimeout: "later" });
// @ts-expect-error: Property 'by' does not exist on type 'void | { by: string; }'
(await l.race({ ok: () => l.waitFor("approve"), late: () => l.sleep("1d") })).value.by;
// @ts-expect-error: Argument of type 'string' is not assignable to parameter of type '{ id: string; }'
w.child(limit, "l-1");
// @ts-expect-error: Type '"kill"' is not assignable to type
w.child(limit, { id: "l" }, { onParentClose: "kill" });
// @ts-expect-error: Type 'number' is not assignable to type 'string'
const far: string = await w.child(limit, { id: "l" });
// @ts-expect-error: Type 'string' is not assignable to type 'boolean'
l.until(() => "soon");
// @ts-expect-error: Argument of type 'Promise<string>' is not assignable to parameter of type '() => Promise<unknown>'
w.scope(w.run(print, receipt));
// @ts-expect-error: Property 'cancel' does not exist on type 'Promise<string>'
w.run(print, receipt).cancel();
// @ts-expect-error: Argument of type '"aprove"' is not assignable to parameter of type '"approve"'
run.signal("aprove", { by: "eva" });
// @ts-expect-error: Type 'number' is not assignable to type 'string'
run.signal("approve", { by: 7 });
// @ts-expect-error: Expected 2-3 arguments, but got 1
run.signal("approve");
// @ts-expect-error: Argument of type '"approve"' is not assignable to parameter of type 'never'
client.handle(order, "o").signal("approve", { by: "eva" });
// @ts-expect-error: Type 'string' is not assignable to type 'number'
const status: number = await run.query("status");
// @ts-expect-error: Argument of type 'string' is not assignable to parameter of type 'number'
run.query("over", "5");
// @ts-expect-error: Argument of type '"lower"' is not assignable to parameter of type '"raise"'
run.update("lower", 1);
// @ts-expect-error: Type 'number' is not assignable to type 'string'
const raised: string = await run.update("raise", 1);
// @ts-expect-error: Type 'string' is not assignable to type 'number'
client.startMany(order, [{ input: { id: "o", cents: "1" } }]);
// @ts-expect-error: Type '"aprove"' is not assignable to type '"approve"'
client.signalWithStart(limit, { id: "l" }, { id: "l", signal: { name: "aprove", payload: { by: "eva" } } });
// @ts-expect-error: Type 'number' is not assignable to type 'string'
client.runStep(print, { receipt: 7 });
// @ts-expect-error: Type '"10 minutes"' is not assignable to type 'Duration | undefined'
client.start(order, { id: "o", cents: 1 }, { delay: "10 minutes" });
// @ts-expect-error: 'deadline' does not exist in type
run.cancel({ deadline: "1m" });
// @ts-expect-error: Type 'string' is not assignable to type 'number'
client.schedules.create("s", { every: "1h", workflow: order, input: { id: "o", cents: "1" } });

export { far, raised, result, size, status };
