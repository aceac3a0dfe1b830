import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@stepstream/sdk";
import { type ScheduleDescription, type ScheduleHandle, Schedules, scheduleWorkflow } from "@stepstream/sdk/schedule";
import { report } from "./report.ts";

/**
 * What can be done with schedules, in a few seconds.
 *
 * @param say - A line for whoever looks on.
 */
export async function tour(client: Client, runs: number, say: (line: string) => void) {
  const schedules = new Schedules(client);

  // 1. Short, so that there is something to see. After its last run it is over.
  const ticker = await schedules.create("ticker", {
    every: "500ms",
    limit: runs,
    overlap: "buffer-all", // a run that takes longer makes the next one wait
    workflow: report,
    input: { about: "the clock" },
  });
  const ticked = await client.handle(scheduleWorkflow, ticker.runId).result();
  for (const { run, at, startedAt, outcome } of ticked.recent.toReversed())
    say(`ticker   ${run} ${outcome}, started ${startedAt - at} ms after its time`);

  // 2. Nightly, by the clocks of a place. It waits; for now a person starts it.
  const nightly = await schedules.create("nightly", {
    cron: "30 2 * * *",
    timezone: "Europe/Berlin",
    catchUp: "6h", // better late than never
    note: "asked for by sales",
    workflow: report,
    input: { about: "the day" },
  });
  const byHand = await nightly.trigger();
  say(`by hand  ${await client.handle(report, byHand.run).result()}`);

  // 3. A weekend in March, after the fact: on the 29th there was no 02:30. What was asked for goes on in a pause.
  await nightly.pause("sales are on holiday");
  const filled = await nightly.backfill({ from: "2026-03-28T00:00:00Z", to: "2026-03-30T12:00:00Z" });
  say(`backfill ${filled.started} started, ${filled.waiting} wait for it`);

  // 4. What is known of it.
  const told = await untilIdle(nightly);
  for (const { run, cause } of told.recent.toReversed())
    if (cause === "backfill") say(`backfill ${await client.handle(report, run).result()}`);
  say(`nightly  ${told.paused ? `paused (${told.note})` : "goes on"}; next would be ${inBerlin(told.next[0]!)}`);
  await nightly.delete();
  return { ticked, told, filled };
}

/** Asks now and again until nothing is on, and nothing waits. */
async function untilIdle(schedule: ScheduleHandle): Promise<ScheduleDescription> {
  for (;;) {
    const told = await schedule.describe();
    if (told.running.length === 0 && told.waiting === 0) return told;
    await sleep(100);
  }
}

function inBerlin(instant: number): string {
  return new Intl.DateTimeFormat("en-GB", {
    timeZone: "Europe/Berlin",
    dateStyle: "medium",
    timeStyle: "short",
  }).format(instant);
}
