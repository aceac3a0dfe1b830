/**
 * Wiring that must compile, with the types it must come to. Read by tsc alone; nothing here is run.
 * What must not compile is in wrong-wiring.ts.
 */

import {
  type Client,
  type HandleOf,
  type None,
  pipeline,
  type RunHandle,
  type ScopedPromise,
  type StartOutcome,
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

// ---------------------------------------------------------------- what a workflow is told, asked, and asks of others

/** A piece of workflow code on its own takes the context of any workflow. */
async function waitABit(w: WorkflowContext): Promise<number> {
  await w.sleep("1s");
  return w.run(measure, "x");
}

export const deal = workflow(
  "deal",
  {
    input: z.object({ cents: z.int(), rush: z.boolean().default(false) }),
    output: z.object({ at: z.coerce.date() }),
    signals: { approve: z.object({ by: z.string(), at: z.coerce.date() }), remind: z.void() },
    queries: { price: z.object({ at: z.coerce.date() }), offer: { input: z.coerce.number(), output: z.string() } },
    updates: { raise: { input: z.object({ by: z.int().default(1) }), output: z.object({ at: z.coerce.date() }) } },
  },
  async ({ rush }, w) => {
    w.onQuery("price", () => ({ at: "2026-01-01" }));
    w.onQuery("offer", (cents) => {
      same<typeof cents, number>(true);
      return `${cents}`;
    });
    w.onUpdate("raise", async ({ by }) => ({ at: by }), {
      validate: ({ by }) => {
        same<typeof by, number>(true);
      },
    });
    w.onUpdate("raise", ({ by }) => ({ at: by }));

    const approved = await w.waitFor("approve");
    same<typeof approved, { by: string; at: Date }>(true);
    const soon = await w.waitFor("approve", { timeout: rush ? "1m" : "1h" });
    same<typeof soon, { by: string; at: Date } | undefined>(true);
    const patient = await w.waitFor("approve", {});
    same<typeof patient, { by: string; at: Date }>(true);
    const reminded = await w.waitFor("remind");
    same<typeof reminded, void>(true);
    const isSo = await w.until(() => rush, { timeout: "1h" });
    same<typeof isSo, boolean>(true);

    const child = await w.child(order, { id: "o", cents: 1 }, { id: "o-1", onParentClose: "abandon", delay: "1s" });
    same<typeof child, { label: string }>(true);
    const children = await w.map([1, 2], (cents) => w.child(order, { id: "o", cents }));
    same<typeof children, { label: string }[]>(true);

    const scope = w.scope(() => w.run(measure, "x"), { timeout: "1m" });
    same<typeof scope, ScopedPromise<number>>(true);
    scope.cancel("no need");
    const [size, bit] = await w.all([scope, waitABit(w)]);
    same<[typeof size, typeof bit], [number, number]>(true);
    const cleaned = await w.uncancellable(() => w.run(measure, "x"));
    same<typeof cleaned, number>(true);

    const drawn = w.sideEffect(() => ({ n: 1 }));
    same<typeof drawn, { n: number }>(true);
    if (w.patched("newer") && w.history.continueSuggested) return w.continueAsNew({ cents: 1 });
    return { at: w.now() };
  },
);

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
  await client.list({ workflow: order, status: "failed", limit: 10 });
  await w.sleep("1.5h");
}

export async function tell(client: Client): Promise<void> {
  const run = client.handle(deal, "d");
  same<typeof run, HandleOf<typeof deal>>(true);
  await run.signal("approve", { by: "eva", at: "2026-01-01" }, { id: "s-1" });
  await run.signal("remind");
  await run.signal("remind", undefined, { signal: AbortSignal.timeout(1_000) });
  const price = await run.query("price");
  same<typeof price, { at: Date }>(true);
  const offer = await run.query("offer", "7", { timeout: "1s" });
  same<typeof offer, string>(true);
  const raised = await run.update("raise", {});
  same<typeof raised, { at: Date }>(true);
  await run.cancel({ reason: "no need", grace: "1s", cleanupDeadline: "1m" });
  await run.terminate({ reason: "enough" });

  const any = client.get("d");
  await any.signal("whatever", [1]);
  await any.signal("whatever");
  const said = await any.query("whatever", 7);
  const done = await any.update("whatever", { n: 7 });
  same<[typeof said, typeof done], [unknown, unknown]>(true);
}

export async function startInOtherWays(client: Client): Promise<void> {
  await client.start(deal, { cents: 1 }, { delay: "1m", timeout: "1h", onConflict: "terminate" });
  const items = [{ id: "d", input: { cents: 1 }, delay: "1m" as const }, { input: { cents: 2, rush: true } }];
  const outcomes = await client.startMany(deal, items, { concurrency: 10, onConflict: "attach" });
  same<typeof outcomes, StartOutcome[]>(true);
  async function* some() {
    yield { input: { cents: 1 } };
  }
  await client.startMany(deal, some());

  const signal = { name: "approve", payload: { by: "eva", at: 0 } } as const;
  const run = await client.signalWithStart(deal, { cents: 1 }, { id: "d", signal });
  same<typeof run, HandleOf<typeof deal>>(true);

  const job = await client.runStep(charge, { id: "o", cents: 1 }, { retry: { maxAttempts: 1 }, delay: "1s" });
  same<typeof job, RunHandle<{ receipt: string; at: Date }, None, None, None>>(true);

  await client.schedules.create("nightly", {
    cron: "0 2 * * *",
    timezone: "Europe/Berlin",
    workflow: deal,
    input: { cents: 1 },
  });
  await client.schedules.create("often", { every: "1m", workflow: deal, input: { cents: 1 }, overlap: "skip" });
}
