import { exponential, step, workflow } from "@stepstream/sdk";
import { handle, type Scenario, type Virtual } from "@stepstream/testing";
import { z } from "zod";

/**
 * What is simulated: workflows that use every construct between them. What happens to an attempt is chance, drawn
 * from the world; a step's input says what may happen (`fails`: how likely, `ms`: how long).
 */
const Work = z.object({ ms: z.number(), fails: z.number(), final: z.boolean().optional() });
const quick = exponential({ initial: "50ms", max: "1s" });

export const work = step("work", {
  input: Work,
  output: z.number(),
  retry: { maxAttempts: 8, backoff: quick },
  timeout: { attempt: "20s", total: "10m" },
  concurrency: 8,
});
export const beat = step("beat", {
  input: Work,
  output: z.number(),
  heartbeat: "3s",
  retry: { maxAttempts: 8, backoff: quick },
  concurrency: 4,
});
/** Its waits between attempts are too long for the command queue. */
export const patient = step("patient", {
  input: Work,
  output: z.number(),
  retry: { maxAttempts: 4, backoff: exponential({ initial: "90s", max: "5m", jitter: "none" }) },
  concurrency: 4,
});
export const undo = step("undo", {
  input: z.object({ of: z.int() }),
  output: z.void(),
  retry: { maxAttempts: 20, backoff: quick },
});
/** Nobody handles it: only its queue time-out ends it. */
export const orphan = step("orphan", { input: z.void(), output: z.void(), timeout: { queue: "8s" } });

const Shape = z.object({ width: z.int(), ms: z.number(), fails: z.number() });
const definition = { input: Shape, output: z.number() };
const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);

export const chain = workflow("chain", definition, async (input, w) => {
  let total = 0;
  for (let i = 0; i < input.width; i++) total += await w.run(work, input);
  return total;
});

export const fan = workflow("fan", definition, async (input, w) => {
  const parts = await w.allSettled(Array.from({ length: input.width }, () => w.run(work, input)));
  const more = await w.map(parts, () => w.run(beat, input), { concurrency: 2 });
  return sum(more) + parts.filter((part) => part.status === "fulfilled").length;
});

export const saga = workflow("saga", definition, async (input, w) => {
  for (let i = 1; i <= input.width; i++) {
    await w.run(work, { ...input, fails: 0 });
    w.compensate(undo, { of: i });
  }
  const parts = await w.all(
    Array.from({ length: input.width }, (_, i) => w.run(i === 0 ? beat : work, { ...input, final: i === 1 })),
  );
  return sum(parts);
});

export const timers = workflow("timers", definition, async (input, w) => {
  const before = w.now();
  await w.sleep(Math.floor(w.random() * 2_500));
  await w.sleep(Math.floor(w.random() * 20_000));
  const first = await w.race([w.run(work, input), w.sleep(Math.floor(w.random() * 3_000)).then(() => -1)]);
  return w.now() >= before ? first : Number.NaN;
});

export const loop = workflow("loop", definition, async (input, w) => {
  await w.repeatUntil(
    async () => (await w.run(work, input)) % 3 !== 0,
    () => w.run(beat, { ...input, fails: 0 }),
    { maxAttempts: 6, backoff: exponential({ initial: "500ms", max: "5s" }) },
  );
  return 0;
});

export const long = workflow("long", definition, async (input, w) => {
  const [one, two] = await w.all([w.run(patient, input), w.run(work, input)]);
  return one + two;
});

export const lonely = workflow("lonely", definition, async (_input, w) => {
  const [result] = await w.allSettled([w.run(orphan, undefined)]);
  return result.status === "rejected" ? 1 : Number.NaN;
});

const workflows = [chain, fan, saga, timers, loop, long, lonely];

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

type Attempt = Virtual & { step: string; slot: number; signal: AbortSignal; heartbeat(details: unknown): void };

async function tryIt(input: z.infer<typeof Work>, ctx: Attempt): Promise<number> {
  const ms = ctx.chance.exponential(input.ms);
  for (let left = ms; left > 0; left -= 1_000) {
    await wait(Math.min(left, 1_000), ctx);
    if (ctx.step === "beat") ctx.heartbeat({ left });
  }
  if (input.final) throw Object.assign(new Error("final"), { retry: "never" });
  if (ctx.chance.is(input.fails)) throw new Error("by chance");
  return ctx.slot;
}

export const model: Scenario = {
  workflows,
  steps: [
    handle(work, tryIt),
    handle(beat, tryIt),
    handle(patient, tryIt),
    handle(undo, async (_input, ctx) => {
      await wait(ctx.chance.exponential(200), ctx);
      if (ctx.chance.is(0.1)) throw new Error("undo by chance");
    }),
  ],
  start: (chance) => ({
    workflow: chance.pick(workflows),
    input: {
      width: 1 + chance.int(4),
      ms: chance.pick([5, 100, 2_000, 8_000]),
      fails: chance.pick([0, 0.1, 0.4]),
    },
  }),
  async outside(run, { chance, sleep }) {
    if (!chance.is(0.3)) return;
    await sleep(500 + chance.exponential(4_000));
    // Whoever asks after the end is not always told so: they give up waiting after ten seconds.
    const patience = new AbortController();
    const answered = run.cancel({ reason: "by chance", signal: patience.signal });
    await Promise.race([answered, sleep(10_000)]);
    answered.catch(() => {});
    patience.abort();
  },
};
