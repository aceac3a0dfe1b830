/**
 * Wiring that must compile, with the types it must come to. Read by tsc alone; nothing here is run.
 * What must not compile is in wrong-wiring.ts.
 */

import {
  type Client,
  type HandleOf,
  type None,
  nothing,
  pipeline,
  type RunHandle,
  step,
  type WorkflowContext,
  workflow,
} from "@stepstream/sdk";
import { z } from "zod";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** Compiles only where the two types are one and the same. */
declare function same<A, B>(proof: Same<A, B>): void;

const Order = z.object({ id: z.string(), cents: z.int(), rush: z.boolean().default(false) });
const charge = step("charge", {
  input: Order,
  output: z.object({ receipt: z.string(), at: z.coerce.date() }),
  errors: { CardDeclined: z.object({ reason: z.string() }) },
});
const print = step("print", { input: z.object({ receipt: z.string() }), output: z.string() });
const measure = step("measure", { input: z.string(), output: z.number() });

// ---------------------------------------------------------------- workflows

export const order = workflow("order", { input: Order, output: z.object({ label: z.string() }) }, async (input, w) => {
  same<typeof input, { id: string; cents: number; rush: boolean }>(true);
  const paid = await w.run(charge, { id: input.id, cents: input.cents });
  same<typeof paid, { receipt: string; at: Date }>(true);

  const both = await w.all({ label: w.run(print, paid), size: w.run(measure, "x") });
  same<typeof both, { label: string; size: number }>(true);
  const pair = await w.all([w.run(print, paid), w.run(measure, "x")]);
  same<typeof pair, [string, number]>(true);
  const settled = await w.allSettled([w.run(measure, "x")]);
  same<typeof settled, [PromiseSettledResult<number>]>(true);
  const sizes = await w.map(["a", "b"], (s) => w.run(measure, s), { concurrency: 2 });
  same<typeof sizes, number[]>(true);
  const first = await w.race([w.run(print, paid), w.run(measure, "x")]);
  same<typeof first, string | number>(true);
  const checked = await w.repeatUntil(
    async (): Promise<number | false> => w.run(measure, "x"),
    async () => {},
    { maxAttempts: 2 },
  );
  same<typeof checked, number>(true);
  w.compensate(print, paid);
  return { label: both.label };
});

// ---------------------------------------------------------------- signals, queries, updates, children

const limits = {
  input: z.object({ id: z.string() }),
  output: z.number(),
  signals: { approve: z.object({ by: z.string() }), stop: nothing },
  queries: { status: z.string(), over: { input: z.number(), output: z.boolean() } },
  updates: { raise: { input: z.int(), output: z.int() } },
};
/** A helper takes the context of any workflow. */
async function twice(w: WorkflowContext): Promise<number> {
  return (await w.run(measure, "a")) + (await w.run(measure, "b"));
}
export const limit = workflow("limit", limits, async (input, w) => {
  let top = await twice(w);
  const approval = await w.waitFor("approve");
  same<typeof approval, { by: string }>(true);
  const late = await w.waitFor("approve", { timeout: "1h" });
  same<typeof late, { by: string } | undefined>(true);
  w.onQuery("status", () => "fine");
  w.onQuery("over", (n) => n > top);
  w.onUpdate("raise", async (by) => (top += by), { validate: (by) => void by });
  const child = await w.child(order, { id: input.id, cents: 1 }, { onParentClose: "abandon", timeout: "1h" });
  same<typeof child, { label: string }>(true);
  const scope = w.scope(() => twice(w), { timeout: "1m" });
  scope.cancel("enough");
  same<Awaited<typeof scope>, number>(true);
  const kept = await w.uncancellable(() => w.run(measure, "x"));
  same<typeof kept, number>(true);
  const recorded = w.sideEffect(() => ({ at: 1 }));
  same<typeof recorded, { at: number }>(true);
  w.sideEffect(() => {
    throw new Error("recorded too");
  });

  // Named branches narrow by name; lists and records take functions as well as promises.
  const first = await w.race({ ok: () => w.waitFor("approve"), late: () => w.sleep("3d"), n: async () => 5 });
  same<typeof first.name, "ok" | "late" | "n">(true);
  if (first.name === "ok") same<typeof first.value, { by: string }>(true);
  if (first.name === "n") same<typeof first.value, number>(true);
  const any = await w.any({ ok: w.waitFor("approve"), n: () => twice(w) });
  same<
    typeof any,
    { readonly name: "ok"; readonly value: { by: string } } | { readonly name: "n"; readonly value: number }
  >(true);
  const listed = await w.race([() => w.waitFor("approve"), w.run(measure, "x")]);
  same<typeof listed, { by: string } | number>(true);
  const record = await w.all({ ok: () => w.waitFor("approve"), n: w.run(measure, "x"), five: 5 });
  same<typeof record, { ok: { by: string }; n: number; five: number }>(true);
  const outcomes = await w.allSettled({ n: () => twice(w) });
  same<typeof outcomes, { n: PromiseSettledResult<number> }>(true);

  const thrown = await w.waitFor("approve", { timeout: "1h", onTimeout: "throw" });
  same<typeof thrown, { by: string }>(true);
  const mine = await w.waitFor("approve", { where: ({ by }) => by === "eva" });
  same<typeof mine, { by: string }>(true);
  const check = (by: number): void => void by;
  w.onUpdate("raise", (by) => by, { validate: check });
  w.onUpdate("raise", (by) => by, { validate: (by) => by > 0 });
  w.onUpdate("raise", (by) => by, {
    validate(by) {
      if (by < 0) throw new RangeError("only upwards");
    },
  });
  same<typeof w.updatesInProgress, number>(true);
  if (w.history.continueSuggested) return w.continueAsNew(input);
  return w.patched("more") ? top : 0;
});

// ---------------------------------------------------------------- pipelines

const flow = pipeline("flow", { input: Order, output: z.object({ total: z.number(), ok: z.boolean() }) })
  .step("paid", charge)
  .step("label", print)
  .gate("lint", { level: 1, command: "npm run lint", timeout: "2m" })
  .gate("sign-off", { level: 2, manual: true })
  .step("size", measure)
  .map("sizes", measure, (s) => [s.label, s.paid.receipt], { concurrency: 2 })
  .parallel({ one: [measure, (s) => s.label], two: [print, (s) => s.paid] })
  .parallel({ three: [measure, (s) => s.two] }, { mode: "allSettled" })
  .step(
    "end",
    step("end", { input: z.array(z.number()), output: z.object({ total: z.number(), ok: z.boolean() }) }),
    (s) => {
      same<typeof s.input, { id: string; cents: number; rush: boolean }>(true);
      same<typeof s.paid, { receipt: string; at: Date }>(true);
      same<typeof s.sizes, number[]>(true);
      same<typeof s.two, string>(true);
      same<typeof s.three, PromiseSettledResult<number>>(true);
      return [s.size, s.one, ...s.sizes];
    },
  )
  .build();

// ---------------------------------------------------------------- clients

export async function start(client: Client, w: WorkflowContext): Promise<void> {
  const run = await client.start(order, { id: "o", cents: 1 }, { id: "order-1", onConflict: "attach" });
  same<typeof run, HandleOf<typeof order>>(true);
  same<typeof run, RunHandle<{ label: string }, None, None, None>>(true);
  const result = await (await client.start(flow, { id: "o", cents: 1 })).result();
  same<typeof result, { total: number; ok: boolean }>(true);
  same<Awaited<ReturnType<ReturnType<typeof client.get>["result"]>>, unknown>(true);
  const limited = client.handle(limit, "l-1");
  await limited.signal("approve", { by: "eva" }, { id: "once" });
  await limited.signal("stop");
  same<Awaited<ReturnType<typeof limited.result>>, number>(true);
  const state = await limited.query("status");
  same<typeof state, string>(true);
  const over = await limited.query("over", 5, { timeout: "1s" });
  same<typeof over, boolean>(true);
  const raised = await limited.update("raise", 1);
  same<typeof raised, number>(true);
  const anything = client.get("l-1");
  await anything.signal("whatever", { any: "thing" });
  same<Awaited<ReturnType<typeof anything.update>>, unknown>(true);
  await client.startMany(order, [{ input: { id: "o", cents: 1 }, id: "o-1", delay: "1m" }], { onConflict: "attach" });
  const told = { name: "approve", payload: { by: "eva" } } as const;
  same<typeof limited, Awaited<ReturnType<typeof client.signalWithStart<typeof limit, "approve">>>>(true);
  await client.signalWithStart(limit, { id: "l" }, { id: "l-1", signal: told, timeout: "1h" });
  const job = await client.runStep(measure, "x", { retry: { maxAttempts: 2 }, timeout: { attempt: "1s" } });
  same<Awaited<ReturnType<typeof job.result>>, number>(true);
  await client.schedules.create("nightly", { cron: "0 2 * * *", workflow: order, input: { id: "o", cents: 1 } });
  await client.list({ workflow: order, status: "failed", limit: 10 });
  await w.sleep("1.5h");
}
