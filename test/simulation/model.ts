import { exponential, workflow } from "@stepstream/sdk";
import { scheduleWorkflow } from "@stepstream/sdk/schedule";
import type { Chance } from "@stepstream/testing";
import { z } from "zod";
import { type Expected, spellStep } from "./reference.ts";
import * as s from "./steps.ts";
import { spellValue, Values, valuesOf } from "./values.ts";

/**
 * What is simulated: workflows that use every construct between them. Each has a result that does not depend on when
 * things happen, or a few that it may have; ./reference.ts works them out, ./expected.ts compares.
 */
const Shape = z.object({ width: z.int(), ms: z.number(), fails: z.number() });
type Shape = z.infer<typeof Shape>;
const definition = { input: Shape, output: z.number() };
const anything = { input: Shape, output: z.json() };
const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
const to = (n: number) => Array.from({ length: n }, (_, i) => i + 1);
/** The input of a step: `n` tells the calls of one run from each other. */
export const item = ({ ms, fails }: Shape, n: number): s.Work => ({ n, ms, fails });

/** The codes of an error and its causes, and what kind of time-out it was. */
function codes(error: unknown): string {
  const {
    code = "ERROR",
    kind,
    message,
    cause,
  } = error as { code?: string; kind?: string; message: string; cause?: Error };
  if (cause) return `${code} < ${codes(cause)}`;
  return kind ? `${code} ${kind}` : code === "ERROR" ? message : code;
}

export const chain = workflow("chain", definition, async (input, w) => {
  let total = 0;
  for (const n of to(input.width)) {
    w.progress({ step: n, total: input.width, name: `part ${n}` });
    total += await w.run(s.work, item(input, n));
  }
  return total;
});

const fan = workflow("fan", definition, async (input, w) => {
  const parts = await w.allSettled(to(input.width).map((n) => w.run(s.work, { ...item(input, n), final: n === 2 })));
  const more = await w.map(parts, (_, i) => w.run(s.beat, item(input, 10 + i)), { concurrency: 2 });
  return sum(more) * 10 + parts.filter((part) => part.status === "fulfilled").length;
});

/** Books one thing after the other; from two on it fails, and undoes them. The second cannot be undone. */
export const saga = workflow("saga", definition, async (input, w) => {
  for (const n of to(input.width)) {
    const of = await w.run(s.book, { ...item(input, n), fails: 0 });
    w.compensate(of === 2 ? s.spoil : s.undo, { of });
  }
  const parts = await w.all(
    to(input.width).map((n) => w.run(n === 1 ? s.beat : s.work, { ...item(input, 10 + n), final: n === 2 })),
  );
  return sum(parts);
});

const timers = workflow("timers", anything, async (input, w) => {
  const before = w.now();
  await w.sleep(Math.floor(w.random() * 2_500));
  await w.sleep(Math.floor(w.random() * 20_000));
  const drawn = w.random();
  const first = await w.race([w.run(s.work, item(input, 1)), w.sleep(Math.floor(w.random() * 3_000)).then(() => -1)]);
  return { first, drawn, later: w.random(), id: w.uuid(), forward: w.now() >= before };
});

const loop = workflow("loop", definition, async (input, w) =>
  w.repeatUntil(
    async (n) => {
      const value = await w.run(s.work, item(input, n));
      return n > input.width && value;
    },
    (_why, n) => w.run(s.beat, item({ ...input, fails: 0 }, 100 + n)),
    { maxAttempts: 6, backoff: exponential({ initial: "500ms", max: "5s" }) },
  ),
);

const long = workflow("long", definition, async (input, w) => {
  const parts = await w.all({
    one: w.run(s.patient, { n: 1, failing: input.width - 1 }),
    two: w.run(s.work, item(input, 2)),
  });
  return parts.one * 1_000 + parts.two;
});

/** Every way that a step can fail for good. */
const failures = workflow("failures", anything, async (_input, w) => {
  const failing = [s.orphan, s.doomed, s.declines, s.endless, s.late, s.silent, s.picky, s.liar];
  const settled = await w.allSettled(failing.map((step) => w.run(step as typeof s.doomed, undefined)));
  w.cancelled.throwIfAborted();
  return settled.map((one) => (one.status === "rejected" ? codes(one.reason) : "fulfilled"));
});

const any = workflow("any", anything, async (input, w) => {
  const final = (n: number) => w.run(s.work, { ...item(input, n), final: true });
  const one = await w.any([final(1), w.run(s.work, item(input, 2))]);
  const none = await w.any([final(3), final(4)]).catch((error) => error.errors?.length ?? codes(error));
  w.cancelled.throwIfAborted();
  return { one, none };
});

/** Takes signals one after the other, and updates in between; then waits for more, but not for ever. */
export const desk = workflow(
  "desk",
  {
    ...anything,
    signals: { go: z.int() },
    queries: { seen: z.object({ got: z.array(z.int()), changed: z.int() }) },
    updates: { add: { input: z.int(), output: z.object({ n: z.int(), changed: z.int() }) } },
  },
  async (input, w) => {
    const got: number[] = [];
    let changed = 0;
    w.onQuery("seen", () => ({ got, changed }));
    w.onUpdate(
      "add",
      async (n) => {
        await w.run(s.work, item({ ...input, fails: 0 }, 100 + n));
        changed += n;
        return { n, changed };
      },
      {
        validate: (n) => {
          if (n < 0) throw new Error("less than nothing");
        },
      },
    );
    for (const _ of to(input.width)) got.push(await w.waitFor("go"));
    await w.until(() => changed > 0, { timeout: "5s" });
    const last = (await w.waitFor("go", { timeout: "2s" })) ?? null;
    w.cancelled.throwIfAborted();
    return { got: [...got], changed, last };
  },
);

/** A run segment for each signal; what has come and was not asked for goes along. */
export const relay = workflow(
  "relay",
  {
    input: Shape.extend({ got: z.array(z.int()).optional() }),
    output: z.json(),
    signals: { go: z.int(), note: z.string() },
  },
  async ({ got = [], ...input }, w) => {
    const slow = w.run(s.beat, item(input, got.length)).catch(() => 0);
    const n = await w.waitFor("go");
    if (n % 2 === 1) await slow;
    if (got.length + 1 < input.width) return w.continueAsNew({ ...input, got: [...got, n] });
    return { got: [...got, n], note: await w.waitFor("note") };
  },
);

/** Children of each kind, down to the third generation. */
const family = workflow("family", definition, async (input, w): Promise<number> => {
  if (input.width <= 1) return w.run(s.work, item(input, 1));
  const policies = ["cancel", "terminate", "abandon"] as const;
  const children = to(Math.min(input.width, 3)).map((n) =>
    w.child(
      n === 3 ? saga : family,
      { ...input, width: input.width - 2, ms: input.ms + n },
      { id: `${w.runId}-${n}`, onParentClose: policies[n - 1]! },
    ),
  );
  const first = await w.race([...children, w.sleep(Math.floor(w.random() * 20_000)).then(() => -1)]);
  const rest = await w.all([
    w.run(s.work, item(input, 2)),
    w.child(chain, { ...input, width: 2 }, { id: `${w.runId}-c`, delay: 200, timeout: "1h" }),
  ]);
  return first + 1_000 * sum(rest);
});

/** A child's failure, and an id that is taken. */
const heirs = workflow("heirs", anything, async (input, w) => {
  const id = `${w.runId}-x`;
  const one = await w.child(chain, { ...input, width: 1 }, { id });
  const taken = await w.child(chain, { ...input, width: 2 }, { id }).catch(codes);
  w.cancelled.throwIfAborted();
  const failed = await w.child(saga, { ...input, width: 2 }, { id: `${w.runId}-y` }).catch(codes);
  w.cancelled.throwIfAborted();
  return { one, taken, failed };
});

/** Starts another run and ends: nobody waits for it, and it must be started all the same. */
const baton = workflow("baton", definition, async (input, w) => {
  if (input.width > 2) await w.run(s.work, item({ ...input, fails: 0 }, 1));
  w.cancelled.throwIfAborted();
  w.child(chain, input, { id: `${w.runId}-b`, onParentClose: "abandon" }).catch(() => {});
  return 0;
});

/** Clean-up that a cancel does not reach, and branches that are given up. */
const careful = workflow("careful", anything, async (input, w) => {
  w.compensate(s.undo, { of: 1 });
  try {
    const given = w.scope(() => w.run(s.beat, item(input, 1)));
    given.cancel("not needed");
    const up = await given.catch(() => -1);
    const branch = w.scope(
      () => w.map([2, 3, 4], (n) => w.run(s.beat, item({ ...input, fails: 0 }, n)), { concurrency: 2 }),
      { timeout: "6s" },
    );
    return { up, sum: sum(await branch) };
  } finally {
    await w.uncancellable(() => w.run(s.undo, { of: 2 }));
  }
});

/** Nobody waits for its start or its end for ever. */
export const limited = workflow("limited", anything, async (input, w) => {
  w.compensate(s.undo, { of: 1 });
  const once = w.sideEffect(() => Math.floor(Math.random() * 1e9));
  const longer = w.patched("longer");
  let threw = "nothing";
  try {
    w.sideEffect(() => {
      throw new Error(`once ${Math.random()}`);
    });
  } catch (error) {
    threw = (error as Error).message;
  }
  const one = longer ? await w.run(s.work, item(input, 1)) : 0;
  const more = w.sideEffect(() => ({ more: Math.floor(Math.random() * 1e9) }));
  return { once, threw, more, one, two: await w.run(s.beat, item(input, 2)) };
});

/** Two versions side by side. */
const versioned = (version: number) =>
  workflow("versioned", { ...definition, version }, async (input, w) => {
    const value = await w.run(s.work, item(input, version));
    await w.sleep("1s");
    return value * 10 + version;
  });
const versions = [versioned(1), versioned(2)] as const;

/** What the guards refuse, and what they answer. */
const guarded = workflow("guarded", anything, async (input, w) => {
  await w.run(s.work, item(input, 1));
  const refused = [() => setTimeout(() => {}, 1), () => fetch("http://localhost"), () => setImmediate(() => {})].map(
    (act) => {
      try {
        act();
        return "allowed";
      } catch (error) {
        return codes(error);
      }
    },
  );
  const frozen = Object.isFrozen(input);
  const clock = Date.now() === w.now() && Date.parse(new Date().toISOString()) === w.now();
  const inUnit = Math.random() < 1 && w.history.length > 0;
  await w.run(s.work, item(input, 2));
  return { refused, frozen, clock, inUnit };
});
/** Here the guards are what is tried: nothing may call it without them. */
export const expectGuarded = (input: Shape): Expected => ({
  ending: {
    how: "completed",
    output: spellValue({
      refused: Array(3).fill("FORBIDDEN_IN_WORKFLOW"),
      frozen: true,
      clock: true,
      inUnit: true,
    }),
  },
  asked: [1, 2].map((n) => spellStep("work", item(input, n))),
  maybe: [],
  shielded: [],
  compensations: [],
  progress: [],
  patches: [],
  answers: new Map(),
});

/** Two signals and its end: for a signal that starts. */
export const greet = workflow("greet", { ...anything, signals: { go: z.int() } }, async (_input, w) => {
  const first = await w.waitFor("go");
  return [first, await w.waitFor("go")];
});

/** Branches by name, and waits that take only what they are for. */
export const named = workflow("named", { ...anything, signals: { go: z.int() } }, async (_input, w) => {
  const first = await w.race({
    even: () => w.waitFor("go", { where: (n) => n % 2 === 0 }),
    late: () => w.sleep("20s"),
  });
  const odd = (await w.waitFor("go", { where: (n) => n % 2 === 1, timeout: "30s" })) ?? null;
  return { name: first.name, even: first.value ?? null, odd };
});

/** A time-out that throws is told from a signal without a payload. */
export const timed = workflow("timed", { ...anything, signals: { ping: z.void() } }, async (_input, w) => {
  const one = (timeout: `${number}s`) =>
    w.waitFor("ping", { timeout, onTimeout: "throw" }).then(
      () => "came",
      (error) => codes(error),
    );
  const waits = [await one("4s"), await one("2s")];
  w.cancelled.throwIfAborted();
  return waits;
});

/** Values of every kind, on every path: input, output, signal, query, update, child, side effect, next segment, error. */
export const kinds = workflow(
  "kinds",
  {
    input: Shape.extend({ given: Values.optional() }),
    output: z.any(),
    signals: { stamp: Values },
    queries: { held: Values.optional() },
    updates: { swap: { input: z.map(z.string(), z.date()), output: z.map(z.date(), z.string()) } },
  },
  async ({ given, ...input }, w): Promise<unknown> => {
    w.onQuery("held", () => given);
    w.onUpdate("swap", (map) => new Map([...map].map(([key, at]) => [at, key])));
    const first = await w.run(s.carry, given ?? valuesOf(input.width));
    if (!given && input.width % 2 === 1) return w.continueAsNew({ ...input, given: first });
    const made = w.sideEffect(() => ({
      at: new Date(Math.floor(Math.random() * 1e9)),
      big: 1n,
      none: [undefined, -0],
    }));
    const child = w.runId.endsWith("-k") || (await w.child(kinds, { ...input, given: first }, { id: `${w.runId}-k` }));
    const missed = await w.run(s.misses, first).catch((error) => error.cause?.data ?? codes(error));
    w.cancelled.throwIfAborted();
    const stamp = (await w.waitFor("stamp", { timeout: "3s" })) ?? null;
    return { first, made, child, missed, stamp };
  },
);

/** The same before and after `w.patched`: see `deploy` in the model. */
export const mended = (isNew: boolean) =>
  workflow("mended", anything, async (input, w) => {
    const one = await w.run(s.work, item(input, 1));
    await w.sleep(Math.floor(w.random() * 20_000));
    const checked = isNew && w.patched("check") ? await w.run(s.work, item(input, 3)) : null;
    const two = await w.run(s.beat, item(input, 2));
    await w.sleep(Math.floor(w.random() * 20_000));
    return { one, checked, two };
  });
/** When the coordinators get the new code of `mended`. */
export const DEPLOYED_AFTER_MS = 45_000;

/** A rejection that is awaited later, and work that is not awaited at all. */
const loose = workflow("loose", anything, async (input, w) => {
  const late = w.run(s.work, { ...item(input, 1), final: true });
  await w.sleep("300ms");
  const caught = await late.catch(codes);
  w.cancelled.throwIfAborted();
  void w.run(s.work, item(input, 2));
  return { caught };
});

/** What clients do with runs of their own while it goes on: see ./outside.ts. */
export const hub = workflow("hub", definition, async (input, w) => {
  const value = await w.run(s.work, item(input, 1));
  await w.sleep("10s");
  return value;
});

/** Starts chains by the clock: four times, however long they take and whatever crashes. */
export function schedule(chance: Chance, id: string) {
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

export const workflows = [
  chain,
  fan,
  saga,
  timers,
  loop,
  long,
  failures,
  any,
  desk,
  relay,
  family,
  heirs,
  baton,
  careful,
  limited,
  ...versions,
  guarded,
  named,
  timed,
  kinds,
  mended(false),
  loose,
  hub,
  greet,
  scheduleWorkflow,
];
