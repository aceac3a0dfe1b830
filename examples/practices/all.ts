/**
 * All or nothing: independent steps side by side. The first failure fails the group; what becomes of the others is
 * the caller's choice: cancelled at once (the default), or awaited.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { StepError, step, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "./stage.ts";

export const about = "side by side, all or nothing; the others are cancelled or awaited, as chosen";

const Booking = z.object({ workMs: z.int() });
const flight = step("flight", { input: Booking, output: z.string() });
const car = step("car", { input: Booking, output: z.string() });
const hotel = step("hotel", {
  input: z.object({ nights: z.int() }),
  output: z.string(),
  errors: { FullyBooked: z.object({ nights: z.int() }) },
});

const trip = workflow(
  "trip",
  {
    input: z.object({ nights: z.int(), workMs: z.int(), onFailure: z.enum(["cancel", "await"]) }),
    output: z.object({ flight: z.string(), hotel: z.string(), car: z.string() }),
  },
  async ({ nights, workMs, onFailure }, w) =>
    // A record keeps the names: no counting of positions.
    w.all(
      { flight: w.run(flight, { workMs }), hotel: w.run(hotel, { nights }), car: w.run(car, { workMs }) },
      { onFailure },
    ),
);

export async function play({ serve, client, events, until, say }: Stage) {
  const begun = (name: string) => (run: string) =>
    until((event) => event.type === "attempt" && event.step === name && event.run === run);
  const othersOf = async (run: string) => Promise.all([begun("flight")(run), begun("car")(run)]);

  await serve([trip], (worker) =>
    worker
      .handle(flight, ({ workMs }, ctx) => sleep(workMs, "seat 12A", { signal: ctx.signal }))
      .handle(car, ({ workMs }, ctx) => sleep(workMs, "a small one", { signal: ctx.signal }))
      .handle(hotel, async ({ nights }, ctx) => {
        await othersOf(ctx.run);
        return nights > 7 ? ctx.fail("FullyBooked", { nights }) : "room 7";
      }),
  );
  const outcome = async (input: { nights: number; workMs: number; onFailure: "cancel" | "await" }) => {
    const run = await client.start(trip, input);
    const result = await run.result().catch((error: unknown) => error);
    const ended = events.flatMap((event) =>
      "run" in event && event.run === run.id && event.type !== "attempt" ? [`${event.step} ${event.type}`] : [],
    );
    return { result, ended };
  };

  const good = await outcome({ nights: 2, workMs: 20, onFailure: "cancel" });
  say(`all       ${JSON.stringify(good.result)}`);
  const cancelled = await outcome({ nights: 9, workMs: 60_000, onFailure: "cancel" });
  say(`"cancel"  ${cancelled.ended.join(", ")}; ${nameOf(cancelled.result)}`);
  const awaited = await outcome({ nights: 9, workMs: 100, onFailure: "await" });
  say(`"await"   ${awaited.ended.join(", ")}; ${nameOf(awaited.result)}`);
  return { good, cancelled, awaited };
}

function nameOf(error: unknown): string {
  return error instanceof StepError ? `step "${error.step}" failed the group` : String(error);
}
