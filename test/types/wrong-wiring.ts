/**
 * Wiring that must not compile, each with the message that it must be refused with.
 *
 * tsc proves that each line is refused (an unused expectation is an error); wrong-wiring.test.ts takes the
 * expectations away, runs tsc, and proves that each is refused for the reason written here. One line each.
 */

import {
  type Client,
  type HandleOf,
  pipeline,
  step,
  type WorkflowContext,
  type WorkflowQueries,
  type WorkflowSignals,
  type WorkflowUpdates,
  workflow,
} from "@stepstream/sdk";
import type { Worker } from "@stepstream/step-worker";
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
// @ts-expect-error: Type 'Promise<string>' is not assignable to type 'Promise<{ receipt: string; }>'
workflow("w", { input: Receipt, output: Receipt }, (input, w) => w.run(print, input));
// @ts-expect-error: Property 'id' does not exist on type '{ receipt: string; }'
workflow("w", { input: Receipt, output: z.string() }, async (input) => input.id);
// @ts-expect-error: 'attempts' does not exist in type
step("s", { input: Order, output: Order, retry: { attempts: 3 } });
// @ts-expect-error: Type '"5 min"' is not assignable to type 'Duration | undefined'
step("s", { input: Order, output: Order, timeout: { attempt: "5 min" } });

// ---------------------------------------------------------------- what a workflow is told, asked, and asks of others

const deal = workflow(
  "deal",
  {
    input: z.object({ cents: z.int() }),
    output: Receipt,
    signals: { approve: z.object({ by: z.string() }), remind: z.void() },
    queries: { price: z.number(), offer: { input: z.int(), output: z.string() } },
    updates: { raise: { input: z.int(), output: z.string() } },
  },
  async () => receipt,
);
type Deal = typeof deal;
declare const d: WorkflowContext<WorkflowSignals<Deal>, WorkflowQueries<Deal>, WorkflowUpdates<Deal>>;

// @ts-expect-error: Argument of type '"aprove"' is not assignable to parameter of type '"approve" | "remind"'
d.waitFor("aprove");
// @ts-expect-error: Argument of type '"approve"' is not assignable to parameter of type 'never'
w.waitFor("approve");
// @ts-expect-error: Property 'name' does not exist on type '{ by: string; }'
(await d.waitFor("approve")).name;
// @ts-expect-error: Object is possibly 'undefined'
(await d.waitFor("approve", { timeout: "1s" })).by;
// @ts-expect-error: Type '"2 days"' is not assignable to type 'Duration | undefined'
d.waitFor("approve", { timeout: "2 days" });
// @ts-expect-error: Argument of type 'boolean' is not assignable to parameter of type '() => boolean'
d.until(d.history.continueSuggested);
// @ts-expect-error: Argument of type '"prise"' is not assignable to parameter of type '"offer" | "price"'
d.onQuery("prise", () => 1);
// @ts-expect-error: Argument of type '"price"' is not assignable to parameter of type 'never'
w.onQuery("price", () => 1);
// @ts-expect-error: Type 'string' is not assignable to type 'number'
d.onQuery("price", () => "1");
// @ts-expect-error: Type 'Promise<number>' is not assignable to type 'number'
d.onQuery("price", async () => 1);
// @ts-expect-error: Type 'number' is not assignable to type 'string'
d.onQuery("offer", (cents) => cents);
// @ts-expect-error: Argument of type '"rise"' is not assignable to parameter of type '"raise"'
d.onUpdate("rise", () => "done");
// @ts-expect-error: Type 'number' is not assignable to type 'string | Promise<string>'
d.onUpdate("raise", (cents) => cents);
// @ts-expect-error: Property 'length' does not exist on type 'number'
d.onUpdate("raise", async (cents) => cents.length);
// @ts-expect-error: Types of parameters 'said' and 'input' are incompatible
d.onUpdate("raise", () => "done", { validate: (said: string) => void said });
// @ts-expect-error: Property 'cents' is missing in type '{ id: string; }'
w.child(order, { id: "o" });
// @ts-expect-error: Property 'cents' does not exist on type '{ receipt: string; }'
(await w.child(order, { id: "o", cents: 1 })).cents;
// @ts-expect-error: Type '"leave"' is not assignable to type '"abandon" | "cancel" | "terminate" | undefined'
w.child(order, { id: "o", cents: 1 }, { onParentClose: "leave" });
// @ts-expect-error: is not assignable to parameter of type 'AnyWorkflow'
w.child(charge, { id: "o", cents: 1 });
// @ts-expect-error: Type 'number' is not assignable to type 'string'
const scoped: string = await w.scope(() => w.run(measure, "x"), { timeout: "1s" });
// @ts-expect-error: Argument of type 'Promise<void>' is not assignable to parameter of type '() => Promise<unknown>'
w.scope(w.sleep("1s"));
// @ts-expect-error: Argument of type 'Promise<void>' is not assignable to parameter of type '() => Promise<unknown>'
w.uncancellable(w.sleep("1s"));
// @ts-expect-error: Property 'cancel' does not exist on type 'Promise<void>'
w.sleep("1s").cancel();
// @ts-expect-error: Type 'number' is not assignable to type 'string'
const drawn: string = w.sideEffect(() => 1);
// @ts-expect-error: Type 'Promise<number>' is not assignable to type 'Promise<string>'
workflow("w", { input: z.int(), output: z.string() }, async (n, w) => w.sideEffect(() => n));
// @ts-expect-error: Property 'output' is missing in type '{ input: z.ZodNumber; }'
workflow("w", { input: z.int(), output: z.int(), updates: { raise: { input: z.number() } } }, async (n) => n);

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

// @ts-expect-error: Type 'string' is not assignable to type '{ receipt: string; }'
worker.handle(pay, async (input) => input.id);
// @ts-expect-error: Property 'amount' does not exist on type '{ id: string; cents: number; }'
worker.handle(pay, async (input) => ({ receipt: String(input.amount) }));
// @ts-expect-error: Argument of type '"CardExpired"' is not assignable to parameter of type '"CardDeclined"'
worker.handle(pay, async (_input, ctx) => ctx.fail("CardExpired", {}));
// @ts-expect-error: Property 'reason' is missing in type '{}'
worker.handle(pay, async (_input, ctx) => ctx.fail("CardDeclined", {}));
// @ts-expect-error: Argument of type '"CardDeclined"' is not assignable to parameter of type 'never'
worker.handle(charge, async (_input, ctx) => ctx.fail("CardDeclined", { reason: "x" }));

// ---------------------------------------------------------------- clients

// @ts-expect-error: Property 'cents' is missing in type '{ id: string; }'
client.start(order, { id: "o" });
// @ts-expect-error: Type '"replace"' is not assignable to type
client.start(order, { id: "o", cents: 1 }, { onConflict: "replace" });
// @ts-expect-error: Type '{ receipt: string; }' is not assignable to type 'string'
const result: string = await client.handle(order, "o").result();
// @ts-expect-error: is of type 'unknown'
(await client.get("o").result()).receipt;
// @ts-expect-error: Type '"done"' is not assignable to type 'RunState | undefined'
client.list({ status: "done" });

declare const run: HandleOf<Deal>;
const deals = [{ id: "d", input: { cents: "1" } }];
const nightly = { cron: "0 2 * * *", workflow: deal };
const approve = { name: "approve", payload: { by: "eva" } } as const;

// @ts-expect-error: Argument of type 'string' is not assignable to parameter of type 'AnyWorkflow'
client.handle("deal", "d");
// @ts-expect-error: Expected 2 arguments, but got 1
client.handle(deal);
// @ts-expect-error: Argument of type '"aprove"' is not assignable to parameter of type '"approve" | "remind"'
run.signal("aprove", { by: "eva" });
// @ts-expect-error: Argument of type '"approve"' is not assignable to parameter of type 'never'
client.handle(order, "o").signal("approve", { by: "eva" });
// @ts-expect-error: Type 'number' is not assignable to type 'string'
run.signal("approve", { by: 7 });
// @ts-expect-error: Expected 2-3 arguments, but got 1
run.signal("approve");
// @ts-expect-error: Argument of type 'string' is not assignable to parameter of type 'void'
run.signal("remind", "please");
// @ts-expect-error: Argument of type '"prise"' is not assignable to parameter of type '"offer" | "price"'
run.query("prise");
// @ts-expect-error: Argument of type 'number' is not assignable to parameter of type 'void'
run.query("price", 1);
// @ts-expect-error: Expected 2-3 arguments, but got 1
run.query("offer");
// @ts-expect-error: Type 'string' is not assignable to type 'number'
const offered: number = await run.query("offer", 1);
// @ts-expect-error: Argument of type '"rise"' is not assignable to parameter of type '"raise"'
run.update("rise", 1);
// @ts-expect-error: Argument of type 'string' is not assignable to parameter of type 'number'
run.update("raise", "5");
// @ts-expect-error: Type 'string' is not assignable to type 'number'
const raised: number = await run.update("raise", 5);
// @ts-expect-error: Type '"a minute"' is not assignable to type 'Duration | undefined'
run.cancel({ cleanupDeadline: "a minute" });
// @ts-expect-error: Type '"soon"' is not assignable to type 'Duration | undefined'
client.start(deal, { cents: 1 }, { delay: "soon" });
// @ts-expect-error: The types of 'input.cents' are incompatible between these types
client.startMany(deal, deals);
// @ts-expect-error: 'cents' does not exist in type 'StartItem<
client.startMany(deal, [{ cents: 1 }]);
// @ts-expect-error: Type '"replace"' is not assignable to type 'OnConflict | undefined'
client.startMany(deal, [], { onConflict: "replace" });
// @ts-expect-error: Property 'id' is missing in type
client.signalWithStart(deal, { cents: 1 }, { signal: approve });
// @ts-expect-error: Type '"aprove"' is not assignable to type '"approve" | "remind"'
client.signalWithStart(deal, { cents: 1 }, { id: "d", signal: { name: "aprove", payload: { by: "eva" } } });
// @ts-expect-error: Type 'number' is not assignable to type 'string'
client.signalWithStart(deal, { cents: 1 }, { id: "d", signal: { name: "approve", payload: { by: 7 } } });
// @ts-expect-error: Type 'string' is not assignable to type 'number'
client.signalWithStart(deal, { cents: "1" }, { id: "d", signal: approve });
// @ts-expect-error: Property 'cents' is missing in type '{ id: string; }'
client.runStep(charge, { id: "o" });
// @ts-expect-error: is not assignable to parameter of type 'AnyStep'
client.runStep(order, { id: "o", cents: 1 });
// @ts-expect-error: Type '{ receipt: string; }' is not assignable to type 'string'
const charged: string = await (await client.runStep(charge, { id: "o", cents: 1 })).result();
// @ts-expect-error: Property 'input' is missing in type
client.schedules.create("nightly", nightly);
// @ts-expect-error: Type 'string' is not assignable to type 'number'
client.schedules.create("nightly", { ...nightly, input: { cents: "1" } });
// @ts-expect-error: Type '"a day"' is not assignable to type 'Duration | undefined'
client.schedules.create("nightly", { every: "a day", workflow: deal, input: { cents: 1 } });
// @ts-expect-error: Type '"twice"' is not assignable to type
client.schedules.create("nightly", { ...nightly, input: { cents: 1 }, overlap: "twice" });

export { charged, drawn, offered, raised, result, scoped, size };
