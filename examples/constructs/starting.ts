/**
 * Starting: a run's id is its idempotency key, and what happens when it is taken is the caller's choice. Runs may start
 * later, be limited in time, be started by a signal, by the thousand, or as a single step with no workflow at all.
 */

import { setTimeout as sleep } from "node:timers/promises";
import {
  RunAlreadyExistsError,
  type RunHandle,
  RunStillGoingError,
  StepError,
  step,
  TimeoutError,
  workflow,
} from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "../practices/stage.ts";

export const about = "ids that are taken, delays, limits, signalWithStart, startMany, runStep, delete";

const Letter = z.object({ to: z.string() });
const send = step("send", {
  input: Letter,
  output: z.string(),
  errors: { NoSuchAddress: z.object({ to: z.string() }) },
});

const letter = workflow("letter", { input: Letter, output: z.string() }, (input, w) => w.run(send, input));

const Customer = z.object({ customer: z.string() });
/** One for each customer, started by whatever is put into it first. */
const basket = workflow(
  "basket",
  { input: Customer, output: z.array(z.string()), signals: { put: z.string(), order: z.void() } },
  async (_, w) => {
    const things: string[] = [];
    for (;;) {
      const first = await w.race({ put: () => w.waitFor("put"), order: () => w.waitFor("order") });
      if (first.name === "order") return things;
      things.push(first.value);
    }
  },
);

export async function play({ serve, client, say }: Stage) {
  await serve([letter, basket], (worker) =>
    worker.handle(send, async ({ to }, ctx) => {
      if (to === "nowhere") return ctx.fail("NoSuchAddress", { to });
      if (to === "the moon") await sleep(60_000, undefined, { signal: ctx.signal });
      return `sent to ${to} (${ctx.idempotencyKey})`;
    }),
  );

  // The id says what it is about: whoever starts the same again gets no second one.
  const first = await client.start(letter, { to: "the moon" }, { id: "letter-1", delay: "1h" });
  const taken = await failure(client.start(letter, { to: "eva" }, { id: "letter-1" }));
  if (!(taken instanceof RunAlreadyExistsError)) throw taken;
  const attached = await client.start(letter, { to: "eva" }, { id: "letter-1", onConflict: "attach" });
  const going = await failure(first.delete());
  if (!(going instanceof RunStillGoingError)) throw going;
  say(`taken     ${taken.code}; attached to ${attached.id}, which is to go to the moon; to delete it is ${going.code}`);
  const instead = await client.start(letter, { to: "eva" }, { id: "letter-1", onConflict: "terminate" });
  const replaced = await instead.result();
  say(`instead   ${replaced}`);
  await instead.delete();
  const again = await (await client.start(letter, { to: "kim" }, { id: "letter-1" })).result();
  say(`deleted   its id is free: ${again}`);

  // The message is stored now; the workflow begins in half a second. And: no run takes longer than it may.
  const delayed = await client.start(letter, { to: "zoe" }, { delay: "500ms" });
  const limited = await client.start(letter, { to: "the moon" }, { timeout: "300ms" });
  const tooLong = await failure(limited.result());
  if (!(tooLong instanceof TimeoutError)) throw tooLong;
  const waited = await beganAfter(delayed);
  say(`later     began ${waited} ms after its start; the limited one: ${tooLong.message}`);

  const put = (thing: string) =>
    client.signalWithStart(basket, { customer: "eva" }, { id: "basket-eva", signal: { name: "put", payload: thing } });
  const [bought] = await Promise.all(["apple", "pear", "bread"].map(put));
  await bought!.signal("order");
  const things = await bought!.result();
  say(`basket    ${things.toSorted().join(", ")}: started by whichever came first`);

  const guests = Array.from({ length: 500 }, (_, i) => ({
    id: `guest-${i}`,
    input: { to: i === 77 ? (7 as never) : `guest ${i}` },
  }));
  const outcomes = await client.startMany(letter, guests);
  const failed = outcomes.filter(({ status }) => status === "failed");
  const last = await client.handle(letter, "guest-499").result();
  say(
    `many      ${outcomes.length - failed.length} of ${outcomes.length} started; ${failed.map(({ id }) => id)} was not; ${last}`,
  );

  const job = await (await client.runStep(send, { to: "rob" }, { id: "job-1" })).result();
  const lost = await failure((await client.runStep(send, { to: "nowhere" })).result());
  if (!(lost instanceof StepError)) throw lost;
  say(`a step    ${job}; or ${lost.cause}`);
  return { taken, attached, going, replaced, again, waited, tooLong, things, outcomes, failed, last, job, lost };
}

async function failure(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    (value) => new Error(`That should not have been: ${value}`),
    (error: Error) => error,
  );
}

/** From the start of a run to its first step, by the server's clock, in ms. */
async function beganAfter(run: RunHandle<string>): Promise<number> {
  await run.result();
  const step = (await run.history()).find(
    ({ kind, message }: any) =>
      kind === "journal" && message.events.some((event: any) => event.type === "StepScheduled"),
  )!;
  return step.at - (await run.status()).startedAt;
}
