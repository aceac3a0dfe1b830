/** Workflows whose code does what it must not. */

import { step, type WorkflowContext, workflow } from "@stepstream/sdk";
import { z } from "zod";

const anything = { input: z.any(), output: z.any() };
type W = WorkflowContext<{ go: z.ZodAny }>;
const code = (name: string, run: (w: W, input: any) => Promise<unknown>) =>
  workflow(name, { ...anything, signals: { go: z.any() } }, (input, w) => run(w, input));

export const broken = step("broken", { ...anything, retry: { maxAttempts: 1 } });

export const thrower = workflow("thrower", anything, () => {
  throw new Error("it is broken");
});

/** Catches what every cancelled sleep rejects with, and sleeps again. */
export const endless = code("endless", async (w) => {
  for (;;) {
    try {
      await w.sleep("10m");
    } catch {
      // Once more.
    }
  }
});

/** Throws errors whose causes are circles, or that cannot be read. */
export const circular = code("circular", async (_w, kind) => {
  const error: any = new Error("round and round");
  if (kind === "cause") error.cause = error;
  if (kind === "two") error.cause = new Error("and back", { cause: error });
  if (kind === "aggregate") {
    const all = new AggregateError([], "all of it");
    all.errors.push(all);
    throw all;
  }
  if (kind === "getter") Object.defineProperty(error, "message", { get: () => boom() });
  if (kind === "causeGetter") Object.defineProperty(error, "cause", { get: () => boom() });
  if (kind === "proxy") throw new Proxy(error, { get: () => boom(), has: () => boom(), getPrototypeOf: () => boom() });
  if (kind === "chain") {
    let chain: Error = error;
    for (let i = 0; i < 100_000; i++) chain = new Error(`${i}`, { cause: chain });
    throw chain;
  }
  throw error;
});

function boom(): never {
  throw new RangeError("do not look at me");
}

/** Throws where no promise chain holds it, when the run is cancelled or at once. */
export const outside = code("outside", async (w, kind) => {
  const fail = () => {
    throw new Error("outside of everything");
  };
  if (kind === "listener") w.cancelled.addEventListener("abort", fail);
  if (kind === "asyncListener") w.cancelled.addEventListener("abort", async () => fail());
  if (kind === "microtask") queueMicrotask(fail);
  if (kind === "nextTick") process.nextTick(fail);
  await w.sleep("10m");
});

/** A deadline that has passed: a negative time-out. */
export const late = code("late", async (w) => {
  const deadline = w.now() - 1_000;
  return w.run(broken, 1, { timeout: { total: deadline - w.now() } });
});

/** What TypeScript would not let pass. */
export const untyped = code("untyped", async (w, kind) => {
  if (kind === "progress") w.progress({ step: 1, total: 0, name: undefined as never });
  if (kind === "reason") w.scope(() => w.sleep("10m")).cancel(42 as never);
  return w.sleep("10m");
});

/** Is known to the coordinators in the first half of a test, and cannot be replayed in the second. */
export const stalled = code("stalled", () => new Promise(() => {}));

export const parent = code("parent", async (w, kind) => {
  const child = w.child(abandoned, { made: "of its input" }, { id: `${w.runId}-child`, onParentClose: "abandon" });
  child.catch(() => {});
  if (kind === "fail") throw new Error("the parent fails in the same turn");
  return "the parent's own";
});

export const abandoned = workflow(
  "abandoned",
  { input: z.object({ made: z.string() }), output: z.string() },
  async ({ made }) => made,
);
