/** The workflow behind schedules, on the coordinator's own engine, driven by hand. After each story it is replayed. */

import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { at, ByHand } from "./by-hand.ts";

let s: ByHand;
async function given(now: string, times: object, more: object = {}): Promise<void> {
  s = new ByHand(now);
  await s.start(times, more);
}
afterEach(() => s.replay());

const HOURLY = { cron: "0 * * * *" };
const id = (time: string) => `nightly-20261123T${time.replaceAll(":", "")}Z`;

describe("a schedule", () => {
  it("starts one run at each time, not a millisecond early, with the time in its id (S1, S2)", async () => {
    await given("2026-11-23T00:30:00Z", HOURLY);
    await s.until("2026-11-23T00:59:59.999Z");
    expect(s.started).toEqual([]);
    await s.until("2026-11-23T01:00:00Z");
    expect(s.started).toEqual([id("01:00:00")]);
    await s.end(id("01:00:00"));
    await s.until("2026-11-23T03:10:00Z");
    // 03:00 came while the run of 02:00 was on.
    expect(s.started).toEqual([id("01:00:00"), id("02:00:00")]);
    expect(s.startedAt).toEqual([at("2026-11-23T01:00:00Z"), at("2026-11-23T02:00:00Z")]);
  });

  it("hands on workflow, version, input and time-out, and leaves its runs alone by default", async () => {
    await given("2026-11-23T00:30:00Z", HOURLY, {
      action: { workflow: "report", version: 3, input: { day: 1 }, idPrefix: "r", timeout: "5m" },
    });
    await s.until("2026-11-23T01:00:00Z");
    expect(s.events).toContainEqual({
      type: "ChildScheduled",
      slot: expect.any(Number),
      run: "r-20261123T010000Z",
      workflow: "report",
      version: 3,
      input: { day: 1 },
      onParentClose: "abandon",
      timeoutMs: 300_000,
    });
  });

  it("tells what it is, what came, and what comes", async () => {
    await given("2026-11-23T00:30:00Z", { ...HOURLY, timezone: "Europe/Berlin" }, { note: "as agreed" });
    await s.until("2026-11-23T01:00:00Z");
    await s.end(id("01:00:00"));
    await s.until("2026-11-23T02:00:00Z");
    await s.end(id("02:00:00"), "failed");
    await s.until("2026-11-23T03:00:00Z");
    expect(s.describe()).toMatchObject({
      id: "nightly",
      paused: false,
      note: "as agreed",
      over: false,
      running: [id("03:00:00")],
      waiting: 0,
      left: null,
      counts: { started: 3, completed: 1, failed: 1, skipped: 0, missed: 0 },
      recent: [
        { run: id("03:00:00"), outcome: "running", at: at("2026-11-23T03:00:00Z"), cause: "time" },
        { run: id("02:00:00"), outcome: "failed", message: "it failed", endedAt: at("2026-11-23T02:00:00Z") },
        { run: id("01:00:00"), outcome: "completed", startedAt: at("2026-11-23T01:00:00Z") },
      ],
    });
    const { next } = s.describe();
    expect(next).toHaveLength(10);
    expect(next[0]).toBe(at("2026-11-23T04:00:00Z"));
    // The history may be quiet for long; the client says what time it is.
    expect(s.describe(at("2026-11-23T08:30:00Z")).next[0]).toBe(at("2026-11-23T09:00:00Z"));
  });

  it("goes through a change of clocks as its times say", async () => {
    await given("2026-10-24T23:30:00Z", { cron: "30 2 * * *", timezone: "Europe/Berlin" });
    await s.until("2026-10-26T03:00:00Z");
    expect(s.startedAt).toEqual([at("2026-10-25T00:30:00Z")]);
    await s.end("nightly-20261025T003000Z");
    expect(s.describe().counts).toMatchObject({ started: 1, skipped: 1 });
    await s.until("2026-10-27T03:00:00Z");
    expect(s.started.at(-1)).toBe("nightly-20261027T013000Z");
  });

  it("looks again at its times each day, for time zone data changes (S3)", async () => {
    await given("2026-01-01T00:00:00Z", { cron: "0 0 1 7 *" });
    await s.until("2026-01-08T00:00:00Z");
    expect(s.events.filter((e) => e.type === "SideEffectRecorded")).toHaveLength(2 + 7);
    await s.until("2026-07-01T00:00:00Z");
    expect(s.started).toEqual(["nightly-20260701T000000Z"]);
  });

  it("fails at once with a pattern that nobody knows", async () => {
    await given("2026-01-01T00:00:00Z", { cron: ["0 * * * *", "61 * * * *"] });
    expect(s.ended).toBe("RunFailed");
    expect(JSON.stringify(s.events.at(-1))).toContain("cron[1]");
  });
});

describe("times that come while a run is on", () => {
  it("skip: the schedule sleeps until the run has ended, and then says how many came (S5)", async () => {
    await given("2026-11-23T00:30:00Z", HOURLY);
    await s.until("2026-11-23T01:00:00Z");
    const before = s.events.length;
    await s.until("2026-11-23T09:30:00Z");
    expect(s.events).toHaveLength(before);
    await s.end(id("01:00:00"));
    expect(s.describe().counts).toMatchObject({ started: 1, skipped: 8, missed: 0 });
    await s.until("2026-11-23T10:00:00Z");
    expect(s.started).toEqual([id("01:00:00"), id("10:00:00")]);
  });

  it("buffer-one: the first of them starts when the run has ended", async () => {
    await given("2026-11-23T00:30:00Z", { ...HOURLY, overlap: "buffer-one" });
    await s.until("2026-11-23T04:30:00Z");
    await s.end(id("01:00:00"));
    expect(s.started).toEqual([id("01:00:00"), id("02:00:00")]);
    expect(s.describe().counts).toMatchObject({ started: 2, skipped: 2 });
  });

  it("buffer-all: all of them start, one after the other", async () => {
    await given("2026-11-23T00:30:00Z", { ...HOURLY, overlap: "buffer-all" });
    await s.until("2026-11-23T04:30:00Z");
    for (const time of ["01:00:00", "02:00:00", "03:00:00"]) await s.end(id(time));
    expect(s.started).toEqual(["01:00:00", "02:00:00", "03:00:00", "04:00:00"].map(id));
    expect(s.describe().counts).toMatchObject({ started: 4, skipped: 0, missed: 0 });
  });

  it.each([
    ["cancel-other", "cancelled"],
    ["terminate-other", "terminated"],
  ] as const)("%s: the run is stopped, and the next starts when it has ended", async (overlap, outcome) => {
    await given("2026-11-23T00:30:00Z", { ...HOURLY, overlap });
    await s.until("2026-11-23T02:10:00Z");
    expect(s.stopped).toEqual([id("01:00:00")]);
    expect(s.started).toEqual([id("01:00:00")]);
    await s.end(id("01:00:00"), outcome);
    expect(s.started).toEqual([id("01:00:00"), id("02:00:00")]);
    expect(s.describe().recent[1]).toMatchObject({ outcome });
  });

  it("allow-all: all run side by side", async () => {
    await given("2026-11-23T00:30:00Z", { ...HOURLY, overlap: "allow-all" });
    await s.until("2026-11-23T03:00:00Z");
    expect(s.describe().running).toEqual(["01:00:00", "02:00:00", "03:00:00"].map(id));
  });
});

describe("after downtime", () => {
  it("makes up for what is not too long ago, and says what is missed", async () => {
    await given("2026-11-23T00:30:00Z", { cron: "0 * * * *", overlap: "allow-all", catchUp: "90m" });
    await s.awayUntil("2026-11-23T05:15:00Z");
    expect(s.started).toEqual([id("04:00:00"), id("05:00:00")]);
    expect(s.describe().counts).toMatchObject({ started: 2, missed: 3 });
  });

  it("starts no time twice, and skips as its policy says", async () => {
    await given("2026-11-23T00:30:00Z", { cron: "*/10 * * * *", catchUp: "1h" });
    await s.awayUntil("2026-11-23T03:05:00Z");
    expect(s.started).toEqual([id("02:10:00")]);
    await s.end(id("02:10:00"));
    expect(s.describe().counts).toMatchObject({ started: 1, skipped: 5, missed: 9 });
  });

  it("starts what is up to 10 minutes late, if it says nothing else", async () => {
    await given("2026-11-23T00:30:00Z", HOURLY);
    await s.awayUntil("2026-11-23T01:10:00Z");
    expect(s.started).toEqual([id("01:00:00")]);
    await s.end(id("01:00:00"));
    await s.awayUntil("2026-11-23T02:10:00.001Z");
    expect(s.started).toHaveLength(1);
    expect(s.describe().counts).toMatchObject({ missed: 1 });
  });
});

describe("jitter", () => {
  it("puts each start off, not to the next time, and leaves the id", async () => {
    await given("2026-11-23T00:30:00Z", { cron: "0 * * * *", jitter: "3h", overlap: "allow-all" });
    await s.until("2026-11-24T00:30:00Z");
    expect(s.started.length).toBeGreaterThanOrEqual(23);
    const delays = s.startedAt.map((startedAt, i) => startedAt - at(`2026-11-23T00:00:00Z`) - (i + 1) * 3_600_000);
    for (const delay of delays) expect(delay >= 0 && delay < 3_600_000).toBe(true);
    expect(new Set(delays).size).toBeGreaterThan(15);
    expect(s.started.slice(0, 2)).toEqual([id("01:00:00"), id("02:00:00")]);
  });
});

describe("a pause", () => {
  it("starts nothing; what came not long before it ends is made up for", async () => {
    await given("2026-11-23T00:30:00Z", HOURLY);
    expect(await s.update("pause", { note: "repairs" })).toEqual({ paused: true });
    await s.until("2026-11-23T05:05:00Z");
    expect(s.started).toEqual([]);
    expect(s.describe()).toMatchObject({ paused: true, note: "repairs" });
    expect(await s.update("resume", { note: "done" })).toEqual({ paused: false });
    expect(s.started).toEqual([id("05:00:00")]);
    expect(s.describe()).toMatchObject({ paused: false, note: "done", counts: { started: 1, missed: 4 } });
  });

  it("may be there from the start", async () => {
    await given("2026-11-23T00:30:00Z", HOURLY, { paused: true });
    await s.until("2026-11-23T03:00:00Z");
    expect(s.started).toEqual([]);
  });
});

describe("a trigger", () => {
  it("starts a run now, in a pause too, with an id of its own", async () => {
    await given("2026-11-23T00:30:00Z", HOURLY, { paused: true });
    expect(await s.update("trigger")).toEqual({ run: "nightly-t-20261123T003000Z", outcome: "started" });
    expect(await s.update("trigger")).toEqual({ run: "nightly-t-20261123T003000001Z", outcome: "skipped" });
    expect(await s.update("trigger", { overlap: "buffer-one" })).toMatchObject({ outcome: "waiting" });
    expect(await s.update("trigger", { overlap: "allow-all" })).toMatchObject({ outcome: "started" });
    await s.end("nightly-t-20261123T003000Z");
    expect(s.started).toEqual(["", "003", "002"].map((ms) => `nightly-t-20261123T003000${ms}Z`));
  });
});

describe("a backfill", () => {
  it("starts the times of a range one after the other, first and last included", async () => {
    await given("2026-11-23T10:30:00Z", HOURLY);
    const range = { from: at("2026-11-23T03:00:00Z"), to: at("2026-11-23T05:00:00Z") };
    expect(await s.update("backfill", range)).toEqual({ started: 1, waiting: 2, skipped: 0 });
    for (const time of ["03:00:00", "04:00:00", "05:00:00"]) await s.end(id(time));
    expect(s.started).toEqual(["03:00:00", "04:00:00", "05:00:00"].map(id));
    expect(s.describe().recent[0]).toMatchObject({ cause: "backfill" });
  });

  it("starts nothing a second time, and nothing that is still to come", async () => {
    await given("2026-11-23T00:30:00Z", { ...HOURLY, overlap: "allow-all" });
    await s.until("2026-11-23T01:10:00Z");
    const range = { from: at("2026-11-23T00:00:00Z"), to: at("2026-11-23T09:00:00Z") };
    expect(await s.update("backfill", range)).toEqual({ started: 1, waiting: 1, skipped: 0 });
    await s.end(id("00:00:00"), "failed", "RUN_ALREADY_EXISTS");
    // The run of 01:00 is on, and known to be: it is not even asked for again.
    expect(s.started).toEqual([id("01:00:00"), id("00:00:00")]);
    expect(s.describe().recent.map(({ outcome }) => outcome)).toEqual(["existing", "existing", "running"]);
    await s.end(id("01:00:00"));
    expect(s.describe().recent[2]).toMatchObject({ outcome: "completed" });
  });

  it("of more than 1,000 times is refused", async () => {
    await given("2026-11-23T10:30:00Z", { every: "1s" });
    const range = { from: at("2026-11-23T03:00:00Z"), to: at("2026-11-23T05:00:00Z") };
    await expect(s.update("backfill", range)).rejects.toThrow(/more than 1000 times.*nothing was started/);
  });
});

describe("a change", () => {
  it("counts from now on; what came before it is settled by the old rules", async () => {
    await given("2026-11-23T00:30:00Z", { ...HOURLY, jitter: "30m", overlap: "allow-all" });
    await s.until("2026-11-23T01:00:00Z");
    await s.update("change", { times: { cron: "15 * * * *" }, note: "later" });
    expect(s.started).toEqual([id("01:00:00")]);
    await s.until("2026-11-23T02:30:00Z");
    expect(s.started).toEqual([id("01:00:00"), id("01:15:00")]);
    expect(s.describe()).toMatchObject({ note: "later", times: { cron: "15 * * * *" } });
  });

  it("may be of what is started, and may set a limit", async () => {
    await given("2026-11-23T00:30:00Z", HOURLY);
    const action = { workflow: "other", version: 2, idPrefix: "other" };
    await s.update("change", { times: { ...HOURLY, limit: 1 }, action });
    await s.until("2026-11-23T01:00:00Z");
    expect(s.started).toEqual(["other-20261123T010000Z"]);
    await s.end("other-20261123T010000Z");
    await s.until("2026-11-23T01:00:01Z");
    expect(s.ended).toBe("RunCompleted");
  });

  it("to what it is already changes nothing: times of before stay put off, a limit goes on", async () => {
    await given("2026-11-23T00:30:00Z", { ...HOURLY, limit: 3 });
    await s.until("2026-11-23T01:00:00Z");
    await s.update("change", { times: { limit: 3, ...HOURLY } });
    expect(s.describe()).toMatchObject({ left: 2 });
  });

  it("that makes no sense changes nothing, and says why", async () => {
    await given("2026-11-23T00:30:00Z", HOURLY);
    await expect(s.update("change", { times: { cron: "x" } })).rejects.toThrow(/1 field/);
    await expect(s.update("change", { times: {} })).rejects.toThrow(/says no time/);
    expect(s.describe()).toMatchObject({ times: HOURLY });
  });
});

describe("the end of a schedule", () => {
  it("comes with its limit, when the last run has ended", async () => {
    await given("2026-11-23T00:30:00Z", { ...HOURLY, limit: 2 });
    await s.until("2026-11-23T01:00:00Z");
    await s.end(id("01:00:00"));
    await s.until("2026-11-23T02:00:00Z");
    expect(s.ended).toBeUndefined();
    await s.end(id("02:00:00"));
    await s.until("2026-11-23T02:00:00Z");
    expect(s.output).toMatchObject({ over: true, next: [], left: 0, counts: { started: 2, completed: 2 } });
    expect(s.describe()).toMatchObject({ over: true, next: [], counts: { completed: 2 } });
  });

  it("comes after its last time, also where nobody waits for its runs", async () => {
    await given("2026-11-23T00:30:00Z", { ...HOURLY, overlap: "allow-all", endAt: "2026-11-23T02:00:00Z" });
    await s.until("2026-11-23T03:00:00Z");
    expect(s.started).toHaveLength(2);
    expect(s.ended).toBe("RunCompleted");
  });

  it("comes in no turn that starts a run: it might take the start back", async () => {
    await given("2026-11-23T00:30:00Z", { ...HOURLY, overlap: "allow-all", limit: 1 });
    await s.until("2026-11-23T00:59:59.999Z");
    // The turn of 01:00 by itself: what fires after it is another turn.
    const timer = [...s.run.slots.values()].find((slot) => slot.kind === "timer" && slot.state === "open")!;
    await s.until("2026-11-23T01:00:00Z");
    const turn = s.events.slice(s.events.findIndex((e) => e.type === "ChildScheduled"));
    expect(timer.state).toBe("done");
    expect(turn.map((e) => e.type)).toEqual(["ChildScheduled", "TimerStarted", "SlotsCancelled", "RunCompleted"]);
  });

  it("waits for what is started by hand after its last time: it is asked for in the turn of the answer", async () => {
    await given("2026-11-23T00:30:00Z", { ...HOURLY, overlap: "allow-all", limit: 1 });
    await s.until("2026-11-23T00:59:59.999Z");
    await s.fire();
    expect(s.started).toHaveLength(1);
    expect(s.ended).toBeUndefined();
    const { run, outcome } = (await s.update("trigger")) as { run: string; outcome: string };
    expect(outcome).toBe("started");
    expect(s.started.at(-1)).toBe(run);
    await s.until("2026-11-23T01:00:01Z");
    expect(s.ended).toBe("RunCompleted");
  });

  it("by delete leaves its run alone", async () => {
    await given("2026-11-23T00:30:00Z", HOURLY);
    await s.until("2026-11-23T01:00:00Z");
    expect(await s.update("delete")).toEqual({ deleted: true });
    await s.until("2026-11-23T01:00:01Z");
    expect(s.ended).toBe("RunCompleted");
    expect(s.stopped).toEqual([]);
    expect(s.output).toMatchObject({ over: true, running: [], recent: [{ run: id("01:00:00"), outcome: "unknown" }] });
  });

  it("by delete waits for a run that it would otherwise stop, and takes no more orders", async () => {
    await given("2026-11-23T00:30:00Z", { ...HOURLY, overlap: "cancel-other" });
    await s.until("2026-11-23T01:00:00Z");
    await s.update("delete");
    await s.until("2026-11-23T05:00:00Z");
    expect(s.ended).toBeUndefined();
    expect(s.stopped).toEqual([]);
    await expect(s.update("trigger")).rejects.toThrow(/was deleted/);
    expect(s.describe()).toMatchObject({ over: true, next: [] });
    await s.end(id("01:00:00"));
    await s.until("2026-11-23T05:00:01Z");
    expect(s.ended).toBe("RunCompleted");
    expect(s.started).toHaveLength(1);
  });

  it("by cancelling its run is an end like any other run's", async () => {
    await given("2026-11-23T00:30:00Z", { ...HOURLY });
    await s.until("2026-11-23T01:00:00Z");
    await s.cancel();
    expect(s.ended).toBe("RunCancelled");
    expect(s.stopped).toEqual([]);
  });
});

describe("a long life", () => {
  it("goes on as new when no run is on that others wait for, and forgets nothing (S6)", async () => {
    await given("2026-11-23T00:00:00Z", { every: "1m", overlap: "buffer-all" });
    await s.update("trigger", { overlap: "allow-all" });
    for (let i = 1; i <= 450; i++) {
      await s.until(new Date(at("2026-11-23T00:00:00Z") + i * 60_000).toISOString());
      const run = s.started.at(-1)!;
      // Some take longer than to the next time, so that another waits.
      if (i % 3 !== 0) await s.end(run);
    }
    expect(s.lives).toBeGreaterThanOrEqual(2);
    for (let last = s.started.length; ; last = s.started.length) {
      await s.end(s.started.at(-1)!);
      await s.until(new Date(s.now).toISOString());
      if (s.started.length === last) break;
    }
    const times = s.started.filter((run) => !run.includes("-t-"));
    expect(times).toEqual([...new Set(times)].sort());
    expect(times).toHaveLength(450);
    expect(s.describe()).toMatchObject({
      counts: { started: 451, completed: 450, skipped: 0, missed: 0 },
      running: [],
      waiting: 0,
    });
  }, 30_000);

  it("does not tell what has become of runs it does not wait for", async () => {
    await given("2026-11-23T00:00:00Z", { every: "1m", overlap: "allow-all" });
    await s.until("2026-11-23T03:25:00Z");
    expect(s.lives).toBe(2);
    expect(s.stopped).toEqual([]);
    const { recent, running, counts } = s.describe();
    expect(recent.at(-1)).toMatchObject({ outcome: "unknown" });
    expect(recent[0]).toMatchObject({ outcome: "running" });
    expect(running.length).toBeLessThan(20);
    expect(counts).toMatchObject({ started: 205 });
    expect(s.started).toHaveLength(205);
  });
});

// ---------------------------------------------------------------- whatever happens

type Order =
  | { do: "pass"; minutes: number }
  | { do: "away"; minutes: number }
  | { do: "end" | "pause" | "resume" | "trigger" | "replay" };

const order: fc.Arbitrary<Order> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("pass" as const), minutes: fc.integer({ min: 1, max: 200 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("away" as const), minutes: fc.integer({ min: 1, max: 200 }) }) },
  { weight: 4, arbitrary: fc.constant({ do: "end" as const }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom("pause", "resume", "trigger", "replay") }) as fc.Arbitrary<Order>,
  },
);

describe("whatever happens to a schedule", () => {
  it("each time is started, skipped, missed or waits, exactly once; nothing is early; it replays", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("skip", "buffer-one", "buffer-all", "cancel-other", "terminate-other", "allow-all"),
        fc.constantFrom(0, 90_000, 7_200_000),
        fc.array(order, { maxLength: 25 }),
        async (overlap, jitter, orders) => {
          const from = at("2026-10-24T20:00:00Z");
          await given("2026-10-24T20:00:00Z", { every: "20m", overlap, jitter, catchUp: "45m" });
          const going = new Set<string>();
          let triggers = 0;
          const see = () => {
            for (const run of s.started.slice(seen)) going.add(run);
            seen = s.started.length;
          };
          let seen = 0;
          for (const one of orders) {
            const later = (minutes: number) => new Date(s.now + minutes * 60_000).toISOString();
            if (one.do === "pass") await s.until(later(one.minutes));
            else if (one.do === "away") await s.awayUntil(later(one.minutes));
            else if (one.do === "replay") await s.replay();
            else if (one.do === "end") {
              const run = s.stopped.find((run) => going.has(run)) ?? [...going][0];
              if (!run) continue;
              going.delete(run);
              await s.end(run, s.stopped.includes(run) ? "cancelled" : "completed");
            } else {
              await s.update(one.do);
              if (one.do === "trigger") triggers++;
            }
            see();
          }
          // Settles whatever has come: all runs end, and the next time is waited for.
          await s.update("resume");
          see();
          for (let guard = 0; going.size > 0 && guard < 500; guard++) {
            const run = s.stopped.find((run) => going.has(run)) ?? [...going][0]!;
            going.delete(run);
            await s.end(run, s.stopped.includes(run) ? "cancelled" : "completed");
            see();
          }
          const { counts, waiting, running, next } = s.describe();
          expect({ waiting, running }).toEqual({ waiting: 0, running: [] });
          const came = Math.floor((s.now - from) / 1_200_000);
          const putOff = jitter > 0 && counts.started + counts.skipped + counts.missed - triggers === came - 1 ? 1 : 0;
          expect(counts.started + counts.skipped + counts.missed - triggers + putOff).toBe(came);
          expect(next[0]).toBe(from + (came + 1) * 1_200_000);
          expect(new Set(s.started).size).toBe(s.started.length);
          for (const [i, run] of s.started.entries()) {
            const time = /T(\d\d)(\d\d)(\d\d)Z$/.exec(run);
            const day = /y-(\d{4})(\d\d)(\d\d)T/.exec(run);
            if (!time || !day) continue;
            const due = at(`${day[1]}-${day[2]}-${day[3]}T${time[1]}:${time[2]}:${time[3]}Z`);
            expect(s.startedAt[i]).toBeGreaterThanOrEqual(due);
          }
          await s.replay();
        },
      ),
      { numRuns: 100 },
    );
  }, 60_000);
});
