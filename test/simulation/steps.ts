/**
 * The steps of the model. How long an attempt takes and whether it fails is chance; what the step comes to is not: it is
 * a function of the step and its input (`answer`), so that every run has a result that can be worked out beforehand.
 */
import { DeclaredError, InvalidOutputError, TimeoutError } from "@stepstream/contracts";
import { exponential, step } from "@stepstream/sdk";
import { type Handled, handle, type Virtual } from "@stepstream/testing";
import { z } from "zod";
import { carried, Values } from "./values.ts";

/** `n` tells one call from another, `fails` is how likely an attempt is to fail, `final` means that it surely does. */
const Work = z.object({ n: z.int(), ms: z.number(), fails: z.number(), final: z.boolean().optional() });
export type Work = z.infer<typeof Work>;
const quick = exponential({ initial: "50ms", max: "1s" });
/** More attempts than chance ever needs. */
const PATIENT = 60;

export const work = step("work", {
  input: Work,
  output: z.number(),
  retry: { maxAttempts: PATIENT, backoff: quick },
  timeout: { attempt: "20s", total: "30m" },
  concurrency: 8,
});
export const beat = step("beat", {
  input: Work,
  output: z.number(),
  heartbeat: "3s",
  retry: { maxAttempts: PATIENT, backoff: quick },
  concurrency: 4,
});
/** Its waits between attempts are too long for the command queue. */
export const patient = step("patient", {
  input: z.object({ n: z.int(), failing: z.int() }),
  output: z.number(),
  retry: { maxAttempts: 8, backoff: exponential({ initial: "90s", max: "5m", jitter: "none" }) },
  concurrency: 4,
});
/** What is booked is undone when the run fails. */
export const book = step("book", { input: Work, output: z.int(), retry: { maxAttempts: PATIENT, backoff: quick } });
export const undo = step("undo", {
  input: z.object({ of: z.int() }),
  output: z.void(),
  retry: { maxAttempts: PATIENT, backoff: quick },
});
/** A compensation that fails: the others still run. */
export const spoil = step("spoil", { input: z.object({ of: z.int() }), output: z.void(), retry: { maxAttempts: 1 } });

const nothing = { input: z.void(), output: z.void() };
/** Nobody handles it: only its queue time-out ends it. */
export const orphan = step("orphan", { ...nothing, timeout: { queue: "8s" } });
export const doomed = step("doomed", { ...nothing, retry: { maxAttempts: 3, backoff: quick } });
export const declines = step("declines", { ...nothing, errors: { NO_STOCK: z.object({ left: z.int() }) } });
export const endless = step("endless", {
  ...nothing,
  retry: { maxAttempts: 2, backoff: quick },
  timeout: { attempt: "1s" },
});
export const late = step("late", { ...nothing, timeout: { total: "4s" } });
export const silent = step("silent", { ...nothing, heartbeat: "2s", retry: { maxAttempts: 2, backoff: quick } });
export const picky = step("picky", {
  ...nothing,
  retry: { maxAttempts: 5, backoff: quick, retryIf: (error) => error.message !== "stop" },
});
export const liar = step("liar", {
  input: z.void(),
  output: z.int(),
  retry: { maxAttempts: 2, backoff: quick },
});
/** Takes values of every kind, and returns others. */
export const carry = step("carry", { input: Values, output: Values, retry: { maxAttempts: PATIENT, backoff: quick } });
/** Fails with data that JSON does not carry as it is. */
export const misses = step("misses", {
  input: Values,
  output: z.void(),
  errors: { TOO_LATE: z.object({ at: z.date(), by: z.bigint() }) },
});

export const price = (n: number) => n * 7 + 1;

/** What a step comes to, whatever happens to its attempts. */
export function answer(name: string, input: unknown): { output: unknown } | { error: Error } {
  const { n, final } = (input ?? {}) as Work;
  switch (name) {
    case "work":
    case "beat":
      return final ? { error: new Error("final") } : { output: price(n) };
    case "patient":
    case "book":
      return { output: name === "book" ? n : price(n) };
    case "undo":
      return { output: undefined };
    case "carry":
      return { output: carried(input as Values) };
    case "misses":
      return { error: new DeclaredError("TOO_LATE", missed(input as Values)) };
    case "spoil":
      return { error: new Error("spoiled") };
    case "doomed":
      return { error: new Error("doomed") };
    case "declines":
      return { error: new DeclaredError("NO_STOCK", { left: 3 }) };
    case "endless":
      return { error: new TimeoutError("attempt", 1_000) };
    case "late":
      return { error: new TimeoutError("total", 4_000) };
    case "silent":
      return { error: new TimeoutError("heartbeat", 2_000) };
    case "orphan":
      return { error: new TimeoutError("queue", 8_000) };
    case "picky":
      return { error: new Error("stop") };
    case "liar":
      return { error: new InvalidOutputError('step "liar"', "", "") };
    default:
      throw new Error(`The model has no step "${name}".`);
  }
}

function missed({ at, big }: Values) {
  return { at, by: big };
}

async function wait(ms: number, { clock, chance, signal }: Virtual & { signal: AbortSignal }): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = clock.setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clock.clearTimeout(timer);
      // Most clean up and heed their signal; now and then one does not.
      if (!chance.is(0.05)) clock.setTimeout(() => reject(signal.reason), chance.int(500));
    });
  });
}

function forever({ signal }: { signal: AbortSignal }): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}

type Attempt = Virtual & { step: string; signal: AbortSignal; heartbeat(details: unknown): void };

async function attempt(input: Work, ctx: Attempt): Promise<any> {
  for (let left = ctx.chance.exponential(input.ms); left > 0; left -= 1_000) {
    await wait(Math.min(left, 1_000), ctx);
    if (ctx.step === "beat") ctx.heartbeat({ left });
  }
  if (input.final) throw Object.assign(new Error("final"), { retry: "never" });
  if (ctx.chance.is(input.fails)) throw new Error("by chance");
  return given(ctx.step, input);
}

function given(step: string, input: unknown): any {
  const answered = answer(step, input);
  if ("error" in answered) throw answered.error;
  return answered.output;
}

export const handlers: readonly Handled[] = [
  handle(work, attempt),
  handle(beat, attempt),
  handle(book, attempt),
  handle(patient, async (input, ctx) => {
    await wait(ctx.chance.exponential(100), ctx);
    if (ctx.attempt <= input.failing) throw new Error("not yet");
    return given("patient", input);
  }),
  handle(undo, async (_input, ctx) => {
    await wait(ctx.chance.exponential(200), ctx);
    if (ctx.chance.is(0.1)) throw new Error("undo by chance");
  }),
  handle(spoil, (input) => given("spoil", input)),
  handle(doomed, () => given("doomed", undefined)),
  handle(declines, (_input, ctx) => ctx.fail("NO_STOCK", { left: 3 })),
  handle(endless, (_input, ctx) => forever(ctx)),
  handle(late, (_input, ctx) => forever(ctx)),
  handle(silent, (_input, ctx) => forever(ctx)),
  handle(picky, () => given("picky", undefined)),
  handle(liar, () => "not a number" as never),
  handle(carry, async (input, ctx) => {
    await wait(ctx.chance.exponential(200), ctx);
    if (ctx.chance.is(0.2)) throw new Error("by chance");
    return given("carry", input);
  }),
  handle(misses, (input, ctx) => ctx.fail("TOO_LATE", missed(input))),
];
