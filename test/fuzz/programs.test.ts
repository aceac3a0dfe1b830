/**
 * Random workflow programs with hostile arguments, thrown values and schemas. Whatever they do:
 *
 * F1. Runs beside them end in normal time, with their right results.
 * F2. They are refused, end, or are parked with a reason; they can be terminated and deleted.
 * F3. Nothing escapes: no exception, no rejection without a handler, no loop that is not stopped.
 * F4. Another coordinator takes them up in the middle and decides the same; so does a replay.
 *
 * STEPSTREAM_FUZZ_SEED and STEPSTREAM_FUZZ_RUNS choose others; a failure prints its seed and path.
 */
import fc from "fast-check";
import { afterAll, beforeAll, it } from "vitest";
import { contained, onEscaped } from "./contained.ts";
import { loops, type Program, programs } from "./program.ts";

const SEED = Number(process.env.STEPSTREAM_FUZZ_SEED ?? 20_261_126);
const RUNS = Number(process.env.STEPSTREAM_FUZZ_RUNS ?? 300);

beforeAll(() => {
  process.on("uncaughtException", onEscaped);
  process.on("unhandledRejection", onEscaped);
});
afterAll(() => {
  process.off("uncaughtException", onEscaped);
  process.off("unhandledRejection", onEscaped);
});

// Found by F1: there was no latency, so no time passed in it.
it("a loop of run segments that a step is awaited in is contained", { timeout: 60_000 }, async () => {
  const ask = (ask: string): Program => ({ do: "ask", ask, value: "five", other: "five", how: "await" });
  const body = [ask("run"), ask("continueAsNew")];
  await contained({ input: "any", output: "any", signal: "any", given: "five", body });
});

it.each([
  ["a program that does what it should not", programs, RUNS],
  ["a loop that asks again whatever is thrown", loops, Math.ceil(RUNS / 100)],
])(`%s is contained (seed ${SEED})`, { timeout: 300_000 }, (_what, arbitrary, numRuns) =>
  fc.assert(fc.asyncProperty(arbitrary, contained), { seed: SEED, numRuns, interruptAfterTimeLimit: 240_000 }),
);
