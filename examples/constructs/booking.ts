/**
 * A saga, in parts: a trip is a flight, a hotel and a payment. Each booking registers how it is undone; if the rest fails,
 * or somebody cancels the trip, what was booked is given back, last first, once all that was under way has settled. A
 * compensation that fails is tried again like any step; given up, it is on record, and the others are run all the same.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { ChildError, fixed, type RunHandle, step, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "../practices/stage.ts";

export const about =
  "compensations: last first, once, after failure and cancel; one that fails keeps none of the others";

const Thing = z.object({ what: z.string() });
const Booking = z.object({ ref: z.string() });
const twice = { maxAttempts: 2, backoff: fixed("10ms") };

const book = step("book", { input: Thing, output: Booking });
const giveBack = step("give-back", { input: Booking, output: z.void(), retry: twice });
const pay = step("pay", {
  input: z.object({ card: z.enum(["good", "bad", "slow"]) }),
  output: z.object({ receipt: z.string() }),
  errors: { CardDeclined: z.object({ card: z.string() }) },
});

/** A run of its own, with a history and a compensation of its own. It fails, and is undone, by itself. */
const stay = workflow("stay", { input: Thing, output: Booking }, async ({ what }, w) => {
  const room = await w.run(book, { what: `room in ${what}` });
  w.compensate(giveBack, room);
  await w.run(book, { what: `breakfast in ${what}` });
  return room;
});

const trip = workflow(
  "trip",
  { input: z.object({ card: pay.input.shape.card, hotel: z.string() }), output: z.string() },
  async ({ card, hotel }, w) => {
    const flight = await w.run(book, { what: "flight" });
    w.compensate(giveBack, flight);
    const car = await w.run(book, { what: "car" });
    w.compensate(giveBack, car);
    const room = await w.child(stay, { what: hotel }, { id: `${w.runId}-stay` });
    w.compensate(giveBack, room); // a child that has ended is not undone by itself
    const { receipt } = await w.run(pay, { card });
    return receipt;
  },
);

export async function play({ serve, client, until, say }: Stage) {
  const log: string[] = [];
  const note = (line: string) => void log.push(line);
  await serve([trip, stay], (worker) =>
    worker
      .handle(book, ({ what }) => {
        if (what === "breakfast in ruins") throw Object.assign(new Error("no kitchen"), { retry: "never" });
        note(`booked ${what}`);
        return { ref: what };
      })
      .handle(giveBack, ({ ref }, { attempt }) => {
        if (ref === "car") throw new Error(`the car is far away (attempt ${attempt})`);
        note(`gave back ${ref}`);
      })
      .handle(pay, async ({ card }, ctx) => {
        if (card === "bad") return ctx.fail("CardDeclined", { card });
        if (card === "slow")
          await sleep(60_000, undefined, { signal: ctx.signal }).finally(() => note("stopped paying"));
        return { receipt: "paid" };
      }),
  );
  const ending = async (run: RunHandle<string>) => {
    const result = await run.result().catch((error: Error) => error);
    return { result, status: (await run.status()).status, log: log.splice(0) };
  };

  const good = await ending(await client.start(trip, { card: "good", hotel: "Rome" }, { id: "good" }));
  say(`paid      ${good.log.join(", ")}`);

  // Failure: what is thrown is the payment's error; what could not be undone is in the history.
  const bad = await client.start(trip, { card: "bad", hotel: "Rome" }, { id: "bad" });
  const failed = { ...(await ending(bad)), given: await givenUp(bad) };
  say(`declined  ${failed.log.slice(4).join(", ")}; given up: ${failed.given.join()}`);

  // Cancel: the payment is told to stop, and only when it has are its predecessors undone.
  const slow = await client.start(trip, { card: "slow", hotel: "Rome" }, { id: "slow" });
  await until((event) => event.type === "attempt" && event.step === "pay" && event.run === "slow");
  await slow.cancel({ reason: "no time to travel" });
  const cancelled = await ending(slow);
  say(`cancelled ${cancelled.log.slice(4).join(", ")}`);

  // A child that fails has undone what it did; its parent undoes the rest.
  const ruined = await ending(await client.start(trip, { card: "good", hotel: "ruins" }, { id: "ruined" }));
  if (!(ruined.result instanceof ChildError)) throw ruined.result;
  say(`no hotel  ${ruined.log.slice(3).join(", ")}; ${ruined.result.child}: ${ruined.result.cause}`);
  return { good, failed, cancelled, ruined };
}

/** What each compensation failed with that was given up. */
async function givenUp(run: RunHandle<string>): Promise<string[]> {
  const events = (await run.history()).flatMap((entry) => (entry.kind === "journal" ? entry.message.events : []));
  return events.flatMap((e) => (e.type === "CompensationFailed" ? (e.error.cause?.message ?? e.error.message) : []));
}
