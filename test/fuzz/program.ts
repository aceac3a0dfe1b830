/** Random workflow programs: a tree that can be printed, and the workflow function that it stands for. */
import { type AnyWorkflow, fixed, step, type WorkflowContext, workflow } from "@stepstream/sdk";
import fc from "fast-check";
import { z } from "zod";
import { schemas, thrown, values } from "./hostile.ts";

const anything = { input: z.any(), output: z.any() };
export const add = step("add", { ...anything, retry: { maxAttempts: 3, backoff: fixed(20) } });
export const fails = step("fails", { ...anything, retry: { maxAttempts: 2, backoff: fixed(20) } });
export const undo = step("undo", anything);
export const small = workflow("small", anything, async (input, w) => w.run(add, input));

export type Program =
  | { do: "ask"; ask: string; value: string; other: string; how: "await" | "float" | "late" | "catch" }
  | { do: "call"; call: string; value: string; other: string }
  | { do: "group"; group: string; value: string; how: "await" | "float" | "catch"; body: Program[] }
  | { do: "try"; body: Program[]; handler: Program[] }
  | { do: "loop"; body: Program }
  | { do: "throw"; value: string }
  | { do: "return"; value: string };

export interface Whole {
  input: string;
  output: string;
  signal: string;
  given: string;
  body: Program[];
}

type W = WorkflowContext<any, any, any>;

/** What gives a promise, or throws. */
const asks: Record<string, (w: W, value: any, other: any) => unknown> = {
  run: (w, value) => w.run(add, value),
  runFailing: (w, value) => w.run(fails, value),
  runNoStep: (w, value) => w.run(value, 1),
  runOptions: (w, value, other) => w.run(add, 1, { timeout: { total: value, attempt: other } }),
  runRetry: (w, value, other) => w.run(add, 1, { retry: { maxAttempts: value, backoff: other } }),
  runOdd: (w, value) => w.run(add, 1, value),
  sleep: (w, value) => w.sleep(value),
  waitFor: (w, value) => w.waitFor("go", { timeout: value }),
  waitForName: (w, value, other) => w.waitFor(value, { timeout: other }),
  waitForWhere: (w, value) => w.waitFor("go", { where: value, timeout: "50ms" } as never),
  waitForEver: (w) => w.waitFor("go"),
  until: (w, value) => w.until(() => value as boolean, { timeout: "30ms" }),
  untilThrows: (w, value) =>
    w.until(() => {
      throw value;
    }),
  untilOdd: (w, value, other) => w.until(value, { timeout: other }),
  untilAsks: (w) => w.until(() => w.run(add, 1) as never, { timeout: "30ms" }),
  child: (w, value) => w.child(small, value),
  childOptions: (w, value, other) => w.child(small, 1, { delay: value, timeout: other }),
  childId: (w, value, other) => w.child(small, 1, { id: value, onParentClose: other }),
  childAbandoned: (w, value) => w.child(small, value, { onParentClose: "abandon" }),
  childOdd: (w, value, other) => w.child(value, other),
  continueAsNew: (w, value) => w.continueAsNew(value),
  repeatUntil: (w, value, other) =>
    w.repeatUntil(
      async () => value,
      async () => other,
      { maxAttempts: 2, backoff: fixed(5) },
    ),
  repeatOdd: (w, value, other) => w.repeatUntil(value, other, { maxAttempts: value, backoff: other }),
  promise: (_w, value) => Promise.resolve().then(() => value),
  rejection: (_w, value) => Promise.resolve().then(() => Promise.reject(value)),
};

/** What gives nothing. */
const calls: Record<string, (w: W, value: any, other: any) => unknown> = {
  compensate: (w, value) => w.compensate(undo, value),
  compensateOdd: (w, value, other) => w.compensate(value, other),
  progress: (w, value, other) => w.progress({ step: value, total: other, name: value }),
  progressOdd: (w, value) => w.progress(value),
  sideEffect: (w, value) => w.sideEffect(() => value),
  sideEffectThrows: (w, value) =>
    w.sideEffect(() => {
      throw value;
    }),
  sideEffectOdd: (w, value) => w.sideEffect(value),
  sideEffectAsync: (w, value) => w.sideEffect((async () => value) as never),
  patched: (w, value) => w.patched(value),
  onQuery: (w, value) => w.onQuery("state", () => value),
  onQueryThrows: (w, value) =>
    w.onQuery("state", () => {
      throw value;
    }),
  onQueryOdd: (w, value, other) => w.onQuery(value, other),
  onUpdate: (w, value) => w.onUpdate("change", () => value),
  onUpdateThrows: (w, value) =>
    w.onUpdate("change", async () => {
      throw value;
    }),
  onUpdateOdd: (w, value, other) => w.onUpdate(value, other, { validate: other }),
  validate: (w, value) =>
    w.onUpdate("change", () => w.run(add, 1), {
      validate: () => {
        throw value;
      },
    }),
  listener: (w, value) =>
    w.cancelled.addEventListener("abort", () => {
      throw value;
    }),
  asyncListener: (w, value) => w.cancelled.addEventListener("abort", async () => Promise.reject(value)),
  microtask: (_w, value) =>
    queueMicrotask(() => {
      throw value;
    }),
  floating: (_w, value) => void Promise.reject(value),
  random: (w) => [w.random(), w.uuid(), w.now(), Math.random(), Date.now()],
  scopeCancel: (w, value) => {
    const scope = w.scope(() => w.sleep("1s"));
    scope.cancel(value);
    scope.catch(() => {});
  },
  timer: () => setTimeout(() => {}, 1),
  mutate: (w, value) => Object.assign(w, { run: value }),
};

const groups: Record<string, (w: W, parts: (() => Promise<unknown>)[], value: any) => unknown> = {
  all: (w, parts) => w.all(parts.map((part) => part())),
  allOdd: (w, parts, value) => w.all([...parts.map((part) => part()), value], value),
  allRecord: (w, parts) => w.all({ a: parts[0]?.(), b: parts[1]?.() }),
  allSettled: (w, parts) => w.allSettled(parts.map((part) => part())),
  race: (w, parts) => w.race(parts.map((part) => part())),
  raceNamed: (w, parts) => (w.race as any)(Object.fromEntries(parts.map((part, i) => [`b${i}`, part]))),
  raceOdd: (w, _parts, value) => w.race(value),
  any: (w, parts) => w.any(parts.map((part) => part())),
  nativeRace: (_w, parts) => Promise.race(parts.map((part) => part())),
  map: (w, parts) => w.map(parts, (part) => part(), { concurrency: 2 }),
  mapOdd: (w, parts, value) => w.map(parts, (part) => part(), { concurrency: value }),
  mapItems: (w, parts, value) => w.map(value, () => parts[0]?.() as never),
  scope: (w, parts) => w.scope(async () => parts[0]?.(), { timeout: "100ms" }),
  scopeOdd: (w, parts, value) => w.scope(async () => parts[0]?.(), { timeout: value }),
  scopeNothing: (w, _parts, value) => w.scope(value),
  uncancellable: (w, parts) => w.uncancellable(async () => parts[0]?.()),
  uncancellableOdd: (w, _parts, value) => w.uncancellable(value),
};

/** More than the engine may let pass in one turn; then the program gives up, and the test says so. */
const MOST_ROUNDS = 500_000;
class Unbounded extends Error {}

class Return {
  readonly value: unknown;
  constructor(value: unknown) {
    this.value = value;
  }
}

async function play(w: W, body: readonly Program[], onUnbounded: () => void): Promise<void> {
  const one = async (node: Program): Promise<void> => {
    const outcome = async (given: unknown, how: string) => {
      const promise = given as Promise<unknown>;
      if (how === "await") await promise;
      else if (how === "catch") await Promise.resolve(promise).catch(() => {});
      else if (how === "late") {
        await w.sleep("10ms").catch(() => {});
        await promise;
      }
    };
    switch (node.do) {
      case "ask":
        return outcome(asks[node.ask]!(w, values[node.value]!(), values[node.other]!()), node.how);
      case "call":
        return void calls[node.call]!(w, values[node.value]!(), values[node.other]!());
      case "group": {
        const parts = node.body.map((part) => () => one(part));
        return outcome(groups[node.group]!(w, parts, values[node.value]!()), node.how);
      }
      case "try":
        try {
          await play(w, node.body, onUnbounded);
        } catch (error) {
          if (error instanceof Return) throw error;
          await play(w, node.handler, onUnbounded);
        }
        return;
      case "loop":
        // As a program does that will not be stopped: whatever is thrown, it asks again.
        for (let rounds = 0; ; rounds++) {
          if (rounds === MOST_ROUNDS) {
            onUnbounded();
            throw new Unbounded();
          }
          try {
            await one(node.body);
            return;
          } catch (error) {
            if (error instanceof Return) throw error;
          }
        }
      case "throw":
        throw thrown[node.value]!();
      case "return":
        throw new Return(values[node.value]!());
    }
  };
  for (const node of body) await one(node);
}

/** @param onUnbounded - A loop was not stopped. @throws What a definition may throw. */
export function workflowOf(whole: Whole, onUnbounded: () => void): AnyWorkflow {
  const schema = (name: string) => schemas[name]!();
  return workflow(
    "fuzzed",
    {
      input: schema(whole.input),
      output: schema(whole.output),
      signals: { go: schema(whole.signal) },
      queries: { state: schema(whole.signal) },
      updates: { change: { input: schema(whole.signal), output: schema(whole.output) } },
    },
    async (_input, w) => {
      try {
        await play(w as unknown as W, whole.body, onUnbounded);
        return 1;
      } catch (error) {
        if (error instanceof Return) return error.value;
        throw error;
      }
    },
  ) as AnyWorkflow;
}

const oneOf = (table: object) => fc.constantFrom(...Object.keys(table));
const value = oneOf(values);

/** Asks that wait, or are refused at once: what is retried for ever with a step in each round is only slow. */
const refusable = ["run", "runNoStep", "sleep", "waitFor", "waitForName", "waitForEver", "until", "untilThrows"];
refusable.push("untilOdd", "childOdd", "repeatOdd");
const HOWS = ["await", "catch", "float", "late"] as const;
const ask = (names: string[], hows: readonly (typeof HOWS)[number][] = HOWS) =>
  fc.record({
    do: fc.constant("ask" as const),
    ask: fc.constantFrom(...names),
    value,
    other: value,
    how: fc.constantFrom(...hows),
  });

const { node } = fc.letrec<{ node: Program }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    { weight: 12, arbitrary: ask(Object.keys(asks)) },
    {
      weight: 12,
      arbitrary: fc.record({ do: fc.constant("call" as const), call: oneOf(calls), value, other: value }),
    },
    { weight: 6, arbitrary: fc.record({ do: fc.constant("throw" as const), value: oneOf(thrown) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("return" as const), value }) },
    {
      weight: 12,
      arbitrary: fc.record({
        do: fc.constant("group" as const),
        group: oneOf(groups),
        value,
        how: fc.constantFrom("await" as const, "catch" as const, "float" as const),
        body: fc.array(tie("node"), { minLength: 0, maxLength: 3 }),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant("try" as const),
        body: fc.array(tie("node"), { minLength: 1, maxLength: 2 }),
        handler: fc.array(tie("node"), { maxLength: 1 }),
      }),
    },
  ),
}));

/** Most have schemas that take anything: else little else would be tried. */
const odd = fc.oneof({ weight: 6, arbitrary: fc.constant("any") }, { weight: 1, arbitrary: oneOf(schemas) });
const whole = (body: fc.Arbitrary<Program[]>): fc.Arbitrary<Whole> =>
  fc.record({
    input: odd,
    output: odd,
    signal: odd,
    given: fc.oneof({ weight: 3, arbitrary: fc.constant("five") }, { weight: 1, arbitrary: value }),
    body,
  });

export const programs = whole(fc.array(node, { minLength: 1, maxLength: 5 }));

/**
 * They ask again whatever is thrown. Those that ask `w` for nothing are the watchdog's business, and would stop this
 * process; these are stopped after 100,000 rounds or so, which takes seconds of real time.
 */
export const loops = whole(
  fc
    .tuple(fc.record({ do: fc.constant("loop" as const), body: ask(refusable, ["await"]) }), node)
    .map((both): Program[] => both),
);
