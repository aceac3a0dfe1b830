/**
 * Cancellation: whoever cancels a run gives a reason, and an AbortSignal carries it to the work on whatever machine that
 * is. A time-out is the same signal with another reason. A workflow that is cancelled undoes what it has registered.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { StepError, step, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "./stage.ts";

export const about = "a signal with a reason reaches the work; a time-out is one too; what was done is undone";

const reserve = step("reserve", { input: z.object({ seat: z.string() }), output: z.object({ hold: z.string() }) });
const release = step("release", { input: z.object({ hold: z.string() }), output: z.void() });
const render = step("render", {
  input: z.object({ ms: z.int() }),
  output: z.void(),
  retry: { maxAttempts: 1 },
  timeout: { attempt: "300ms" },
});
const confirm = step("confirm", { input: z.object({ hold: z.string() }), output: z.void() });

const ticket = workflow("ticket", { input: z.object({ seat: z.string() }), output: z.void() }, async ({ seat }, w) => {
  const hold = await w.run(reserve, { seat });
  w.compensate(release, hold);
  await w.run(confirm, hold);
});
const film = workflow("film", { input: z.object({ ms: z.int() }), output: z.void() }, ({ ms }, w) =>
  w.run(render, { ms }),
);

export async function play({ serve, client, until, say }: Stage) {
  const log: string[] = [];
  const note = (line: string) => {
    log.push(line);
    say(line);
  };
  /** Work that listens: it ends when the signal says so, and tells why. */
  const work = async (name: string, ms: number, signal: AbortSignal) => {
    try {
      await sleep(ms, undefined, { signal });
    } catch (error) {
      note(`${name} stopped: ${(signal.reason as Error).name}: ${(signal.reason as Error).message}`);
      throw error;
    }
  };
  await serve([ticket, film], (worker) =>
    worker
      .handle(reserve, ({ seat }) => ({ hold: `hold on ${seat}` }))
      .handle(release, ({ hold }) => note(`released: ${hold}`))
      .handle(confirm, (_, ctx) => work("confirm", 60_000, ctx.signal))
      .handle(render, ({ ms }, ctx) => work("render", ms, ctx.signal)),
  );

  const cancelled = await client.start(ticket, { seat: "12A" });
  await until((event) => event.type === "attempt" && event.step === "confirm");
  await cancelled.cancel({ reason: "the guest changed her mind" });
  const cancelError = await cancelled.result().catch((thrown: unknown) => thrown);
  note(`ticket: ${cancelError}`);

  const late = await client.start(film, { ms: 60_000 });
  const timeout = await late.result().catch((thrown: unknown) => thrown);
  if (!(timeout instanceof StepError)) throw timeout;
  note(`film: ${timeout.cause}`);
  return { log, cancelError, status: (await cancelled.status()).status, timeout };
}
