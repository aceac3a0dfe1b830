import { type Duration, durationMs } from "@stepstream/contracts";
import type { AnyStep } from "@stepstream/sdk";
import { NothingLeftError, UnhandledStepError } from "../environment/errors.ts";
import { show, spellMs, tellStory } from "../story.ts";
import { type Asked, codesOf, type Facts, factsOf, mustBeRun, stepsOf } from "./facts.ts";

/** What vitest gives a matcher, as far as it is needed here. */
interface State {
  equals(a: unknown, b: unknown): boolean;
}

interface Judged {
  pass: boolean;
  message: () => string;
}

/** What a step was asked to do, and how often. */
interface Work {
  with?: unknown;
  times?: number;
}

/**
 * What may be expected of a run.
 *
 * M1. `toHaveCompleted`, `toHaveFailed` and `toHaveBeenCancelled` wait for the run's end. The others look at what has
 *     happened so far.
 * M2. Values are compared as `toEqual` does, and may be asymmetric: `expect.objectContaining(…)`.
 * M3. What a matcher says when it fails ends with the run's history.
 */
export const matchers = {
  async toHaveCompleted(this: State, received: unknown, ...output: unknown[]): Promise<Judged> {
    const facts = await untilEnd(received);
    const { end } = facts;
    const pass = end?.type === "RunCompleted" && fits(this, end.output, output);
    return judged(facts, pass, `have completed${output.length > 0 ? ` with ${show(output[0])}` : ""}`);
  },

  async toHaveFailed(
    this: State,
    received: unknown,
    { step, code }: { step?: AnyStep | string; code?: string } = {},
  ): Promise<Judged> {
    const facts = await untilEnd(received);
    const { end } = facts;
    const name = step && nameOf(step);
    const pass =
      end?.type === "RunFailed" &&
      (name === undefined || stepsOf(end.error).includes(name)) &&
      (code === undefined || codesOf(end.error).includes(code));
    return judged(facts, pass, `have failed${name ? ` at step ${name}` : ""}${code ? ` with ${code}` : ""}`);
  },

  async toHaveBeenCancelled(this: State, received: unknown, ...reason: unknown[]): Promise<Judged> {
    const facts = await untilEnd(received);
    const { end } = facts;
    const pass = end?.type === "RunCancelled" && fits(this, end.reason, reason);
    return judged(facts, pass, `have been cancelled${reason.length > 0 ? ` because of ${show(reason[0])}` : ""}`);
  },

  async toHaveRun(this: State, received: unknown, step: AnyStep | string, work: Work = {}): Promise<Judged> {
    const facts = await factsOf(mustBeRun(received));
    const done = facts.asked.filter((asked) => asked.step === nameOf(step));
    return judged(facts, didWork(this, done, work), `have run ${spellWork(step, work)}`, seen(step, done));
  },

  async toHaveCompensated(this: State, received: unknown, step: AnyStep | string, work: Work = {}): Promise<Judged> {
    const facts = await factsOf(mustBeRun(received));
    const asked = facts.asked.filter((asked) => asked.step === nameOf(step) && asked.compensation);
    const done = asked.filter(({ completed }) => completed);
    return judged(
      facts,
      didWork(this, done, work),
      `have compensated with ${spellWork(step, work)}`,
      seen(step, asked),
    );
  },

  async toHaveWaited(this: State, received: unknown, duration: Duration): Promise<Judged> {
    const facts = await factsOf(mustBeRun(received));
    const ms = durationMs(duration);
    const waits = facts.waited.map((wait) => `${spellMs(wait.ms)}${wait.fired ? "" : " (not to the end)"}`);
    const pass = facts.waited.some((wait) => wait.fired && wait.ms === ms);
    const saw = waits.length > 0 ? `it waited for ${waits.join(", ")}` : "it never waited";
    return judged(facts, pass, `have waited for ${spellMs(ms)}`, saw);
  },
};

/** Waits for the end, however it ends. @throws What keeps the test from ever seeing one. */
async function untilEnd(received: unknown): Promise<Facts> {
  const run = mustBeRun(received);
  await run.result().catch((error: unknown) => {
    if (error instanceof UnhandledStepError || error instanceof NothingLeftError) throw error;
  });
  return factsOf(run);
}

/** @param expected - Of no value: anything fits. */
function fits(state: State, value: unknown, expected: readonly unknown[]): boolean {
  return expected.length === 0 || state.equals(value, expected[0]);
}

function didWork(state: State, done: readonly Asked[], work: Work): boolean {
  const found = done.filter(({ input }) => fits(state, input, "with" in work ? [work.with] : []));
  return work.times === undefined ? found.length > 0 : found.length === work.times;
}

function spellWork(step: AnyStep | string, work: Work): string {
  const times = work.times === undefined ? "" : ` ${work.times} times`;
  return `step ${nameOf(step)}${times}${"with" in work ? ` with ${show(work.with)}` : ""}`;
}

function seen(step: AnyStep | string, asked: readonly Asked[]): string {
  if (asked.length === 0) return `it never asked for ${nameOf(step)}`;
  const inputs = asked.map(({ slot, input, completed }) =>
    `slot ${slot} ${show(input)}${completed ? "" : " (not completed)"}`.replace("  ", " "),
  );
  return `it asked for ${nameOf(step)} in ${inputs.join(", ")}`;
}

function judged(facts: Facts, pass: boolean, expected: string, saw = outcomeOf(facts)): Judged {
  const { run, history } = facts;
  return {
    pass,
    message: () =>
      `expected run ${run} ${pass ? "not " : ""}to ${expected}, but ${saw}.\n\n` +
      `The history of run ${run}:\n${tellStory(history).replaceAll(/^/gm, "  ")}`,
  };
}

function outcomeOf({ end }: Facts): string {
  switch (end?.type) {
    case undefined:
      return "it has not ended";
    case "RunCompleted":
      return `it completed ${end.output === undefined ? "without output" : `with ${show(end.output)}`}`;
    case "RunFailed":
      return `it failed: ${end.error.message.split("\n")[0]} [${codesOf(end.error).join(" < ")}]`;
    default:
      return `it ended with ${end!.type}: ${end!.reason}`;
  }
}

function nameOf(step: AnyStep | string): string {
  return typeof step === "string" ? step : step.name;
}
