/**
 * Wiring that must not compile, each with the message that it must be refused with.
 *
 * tsc proves that each line is refused (an unused expectation is an error); wrong-wiring.test.ts takes the
 * expectations away, runs tsc, and proves that each is refused for the reason written here. One line each.
 */

import { type Client, pipeline, step, type WorkflowContext, workflow } from "@stepstream/sdk";
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

export { result, size };
