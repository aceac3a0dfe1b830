/**
 * Time-outs everywhere: one attempt, all attempts together, and the wait for a worker each have a limit, set or by
 * default; a part of a workflow gets one by a race with `w.sleep`; a caller gives up its wait, not the run.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { fixed, StepError, step, TimeoutError, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "./stage.ts";

export const about = "an attempt, a step, the wait for a worker, a part of a workflow, a caller: each has its limit";

const Nothing = z.object({});

/** No limits are given: those that every step has, apply. */
const plain = step("plain", { input: Nothing, output: z.void() });

const slow = step("slow", {
  input: Nothing,
  output: z.void(),
  retry: { maxAttempts: 1 },
  timeout: { attempt: "100ms" },
});
const hopeless = step("hopeless", {
  input: Nothing,
  output: z.void(),
  retry: { maxAttempts: 1_000, backoff: fixed("40ms") },
  timeout: { total: "300ms" },
});
const unattended = step("unattended", { input: Nothing, output: z.void(), timeout: { queue: "300ms" } });
const patient = step("patient", { input: Nothing, output: z.string() });

const limits = workflow(
  "limits",
  { input: z.object({ limit: z.enum(["attempt", "total", "queue"]) }), output: z.void() },
  async ({ limit }, w) => {
    await w.run({ attempt: slow, total: hopeless, queue: unattended }[limit], {});
  },
);

/** Takes what it can get in time; the loser of the race is cancelled. */
const quick = workflow("quick", { input: Nothing, output: z.string() }, async (_, w) => {
  const answer = await w.race([w.run(patient, {}), w.sleep("200ms")]);
  return answer ?? "nothing, in time";
});

export async function play({ serve, client, events, say }: Stage) {
  await serve([limits, quick], (worker) =>
    worker
      .handle(slow, (_, ctx) => sleep(60_000, undefined, { signal: ctx.signal }))
      .handle(hopeless, () => {
        throw new Error("not today");
      })
      .handle(patient, (_, ctx) => sleep(60_000, "an answer", { signal: ctx.signal })),
  );
  const kinds: Record<string, string> = {};
  for (const limit of ["attempt", "total", "queue"] as const) {
    const run = await client.start(limits, { limit });
    const error = await run.result().catch((thrown: unknown) => thrown);
    if (!(error instanceof StepError && error.cause instanceof TimeoutError)) throw error;
    kinds[limit] = error.cause.kind;
    say(`${limit.padEnd(9)} ${error.cause.message}`);
  }

  const run = await client.start(quick, {});
  // Only the caller's patience: the run goes on.
  const impatient = await run.result({ signal: AbortSignal.timeout(20) }).catch((thrown: Error) => thrown.name);
  const result = await run.result();
  say(`caller    ${impatient}; the run went on and gave "${result}"`);
  const cancelled = events.some((event) => event.type === "cancelled" && event.step === "patient");
  const { attemptMs, totalMs } = plain.timeout;
  say(`default   ${attemptMs! / 60_000} minutes for an attempt, ${totalMs! / 3_600_000} hours for a step`);
  return { kinds, impatient, result, cancelled, defaults: { attemptMs, totalMs } };
}
