import { exponential, type RunHandle, step, workflow } from "@stepstream/sdk";
import { scheduleWorkflow } from "@stepstream/sdk/schedule";
import { type Chance, handle, type Outside, type Scenario, type Virtual } from "@stepstream/testing";
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

/** Takes signals one after the other, and updates in between; then waits for more, but not for ever. */
export const desk = workflow(
  "desk",
  {
    ...definition,
    signals: { go: z.int() },
    queries: { total: z.int() },
    updates: { add: { input: z.int(), output: z.int() } },
  },
  async (input, w) => {
    let total = 0;
    w.onQuery("total", () => total);
    w.onUpdate("add", async (n) => {
      await w.run(work, { ...input, fails: 0 });
      total += n;
      return total;
    });
    for (let i = 0; i < input.width; i++) total += 1_000 * (await w.waitFor("go"));
    await w.until(() => total % 1_000 > 0, { timeout: "5s" });
    total += 1_000 * ((await w.waitFor("go", { timeout: "2s" })) ?? 0);
    return total;
  },
);

/** The same, a life for each signal. */
export const relay = workflow("relay", { ...definition, signals: { go: z.int() } }, async (input, w) => {
  const slow = w.run(beat, input).catch(() => 0);
  await w.waitFor("go");
  if (w.random() < 0.3) await slow;
  return input.width > 1 ? w.continueAsNew({ ...input, width: input.width - 1 }) : 0;
});

/** Children of each kind, down to the third generation. */
export const family = workflow("family", definition, async (input, w): Promise<number> => {
  if (input.width <= 1) return w.run(work, input);
  const policies = ["cancel", "terminate", "abandon"] as const;
  const children = Array.from({ length: Math.min(input.width, 3) }, (_, i) =>
    w.child(i === 2 ? saga : family, { ...input, width: input.width - 2 }, { onParentClose: policies[i]! }),
  );
  const first = await w.race([...children, w.sleep(Math.floor(w.random() * 20_000)).then(() => -1)]);
  return first < 0 ? first : sum(await w.all([w.run(work, input), w.child(chain, input)]));
});

/** Starts another run and ends: nobody waits for it, and it must be started all the same. */
export const baton = workflow("baton", definition, async (input, w) => {
  if (input.width > 2) await w.run(work, { ...input, fails: 0 });
  w.child(chain, input, { onParentClose: "abandon" }).catch(() => {});
  return 0;
});

/** Clean-up that a cancel does not reach, and branches that are given up. */
export const careful = workflow("careful", definition, async (input, w) => {
  w.compensate(undo, { of: 1 });
  try {
    const branch = w.scope(() => w.map([1, 2, 3], () => w.run(beat, input), { concurrency: 2 }), { timeout: "6s" });
    return sum(await branch);
  } finally {
    await w.uncancellable(() => w.run(undo, { of: 2 }));
  }
});

/** Nobody waits for its start or its end for ever. */
export const limited = workflow("limited", definition, async (input, w) => {
  w.compensate(undo, { of: 1 });
  w.sideEffect(() => Math.floor(Math.random() * 1e9));
  return w.patched("longer") ? (await w.run(work, input)) + (await w.run(beat, input)) : 0;
});

/** Starts chains by the clock: four times, however long they take and whatever crashes. */
function schedule(chance: Chance, id: string) {
  const overlap = chance.pick([
    "skip",
    "buffer-one",
    "buffer-all",
    "cancel-other",
    "terminate-other",
    "allow-all",
  ] as const);
  const input = { width: 1 + chance.int(2), ms: chance.pick([5, 2_000]), fails: 0.1 };
  return {
    id,
    times: { every: 1_000 + chance.int(5_000), limit: 4, overlap, jitter: chance.pick([0, 500]) },
    action: { workflow: chain.name, version: 1, input, idPrefix: id },
  };
}

const workflows = [
  chain,
  fan,
  saga,
  timers,
  loop,
  long,
  lonely,
  desk,
  relay,
  family,
  baton,
  careful,
  limited,
  scheduleWorkflow,
];

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
  start: (chance, i) => {
    const workflow = chance.pick(workflows);
    if (workflow === scheduleWorkflow) return { workflow, input: schedule(chance, `s${i}`) };
    const input = {
      width: 1 + chance.int(4),
      ms: chance.pick([5, 100, 2_000, 8_000]),
      fails: chance.pick([0, 0.1, 0.4]),
    };
    if (workflow !== limited) return { workflow, input };
    return { workflow, input, options: { delay: chance.int(5_000), timeout: 5_000 + chance.int(20_000) } };
  },
  // Not every coordinator knows every workflow: some runs have to be handed on.
  hosts: (coordinator) => (coordinator === 2 ? workflows.filter((w) => w !== desk && w !== saga) : workflows),
  async outside(run, world) {
    const doings = [stop(run, world)];
    if (world.workflow === desk || world.workflow === relay) doings.push(signals(run, world));
    if (world.workflow === desk) doings.push(changes(run, world));
    const errors = (await Promise.allSettled(doings)).flatMap((done) =>
      done.status === "rejected" ? done.reason : [],
    );
    const real = errors.find(({ code }) => code !== "RUN_CLOSED" && code !== "WORKFLOW_CANCELLED");
    if (real) throw real;
  },
};

/** Now and then somebody wants a run to end. */
async function stop(run: RunHandle, { chance, sleep }: Outside): Promise<void> {
  if (!chance.is(0.35)) return;
  await sleep(500 + chance.exponential(4_000));
  const kind = chance.int(4);
  await patiently(sleep, (signal) => {
    if (kind === 0) return run.terminate({ reason: "by chance", signal });
    return run.cancel({ reason: "by chance", signal, ...(kind === 1 && { cleanupDeadline: chance.int(4_000) }) });
  });
}

/** As many as are waited for, and one more; some are sent twice. One that was acknowledged has been taken note of, once. */
async function signals(run: RunHandle, { chance, sleep }: Outside): Promise<void> {
  for (let i = 1; i <= 6; i++) {
    await sleep(chance.exponential(3_000));
    const id = `${run.id}-go-${i}`;
    for (let sent = 0; sent === 0 || chance.is(0.2); sent++) await untilTold(() => run.signal("go", i, { id }));
    const accepted = (await untilTold(() => run.history())).flatMap((entry) =>
      entry.kind === "journal" ? entry.message.events.filter((e) => e.type === "SignalAccepted" && e.id === id) : [],
    );
    // A life that is over has forgotten the ids of its signals; what repeats them is the log's business.
    if (accepted.length !== 1)
      throw new Error(`signal ${id} was acknowledged, and taken note of ${accepted.length} times`);
  }
}

async function changes(run: RunHandle, { chance, sleep }: Outside): Promise<void> {
  await sleep(chance.exponential(5_000));
  await patiently(sleep, async (signal) => {
    const total = await run.update("add", 1, { signal });
    if (typeof total !== "number" || total % 1_000 !== 1) throw new Error(`the update was answered with ${total}`);
  });
  const total = await run.query("total", undefined, { timeout: "2s" }).catch(() => 1);
  if ((total as number) % 1_000 > 1) throw new Error(`the query was answered with ${total}`);
}

/** Whoever asks after the end is not always told so: they give up waiting after ten seconds. */
async function patiently(sleep: Outside["sleep"], ask: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const patience = new AbortController();
  const answered = ask(patience.signal);
  await Promise.race([answered, sleep(10_000)]);
  answered.catch(() => {});
  patience.abort();
}

/** As a program does that will not be put off: the id makes it one signal. */
async function untilTold<T>(tell: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await tell();
    } catch (error) {
      if ((error as { code?: string }).code !== "LOG_UNAVAILABLE") throw error;
    }
  }
}
