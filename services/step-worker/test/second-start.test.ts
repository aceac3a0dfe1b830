import type { MemoryLog } from "@stepstream/event-log/memory";
import { fixed, step } from "@stepstream/sdk";
import { createTelemetry } from "@stepstream/telemetry";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { Scene } from "./scene.ts";

/** A handler that was started twice, and crashed neither time, on a log in memory and in virtual time. */

const ACK_WAIT_MS = 3_000;
const beating = step("beating", {
  input: z.number(),
  output: z.number(),
  heartbeat: `${ACK_WAIT_MS}ms`,
  retry: { maxAttempts: 3, backoff: fixed("1s") },
});
const near = { latencyMs: () => 1, staleMs: () => 0, timerLateMs: () => 0, timeoutMs: 60_000, loses: () => false };

let scene: Scene;
let counted: string[];
beforeEach(async () => {
  scene = new Scene(near);
  counted = [];
});
afterEach(() => scene.stop());

/** Starts a worker in a process of its own. @returns its log. */
async function worker(name: string, workMs: number, fails = false): Promise<MemoryLog> {
  const log = scene.process();
  const pause = (ms: number) => new Promise<void>((resolve) => void log.clock.setTimeout(resolve, ms));
  const telemetry = { ...createTelemetry({ namespace: "test" }), startedTwice: (one: string) => counted.push(one) };
  const made = scene.worker({ name, telemetry }, log).handle(beating, async (n, ctx) => {
    for (let left = workMs; left > 0; left -= 500) {
      ctx.heartbeat();
      await pause(Math.min(500, left));
    }
    if (fails) throw new Error(`${name} cannot`);
    return n;
  });
  await scene.passing(made.start());
  return log;
}

/** The first worker is frozen at work until the second, which is given the command, has ended. */
async function frozenAtWork(fails: boolean): Promise<void> {
  const first = await worker("first", 1_000, fails);
  await scene.clock.pass(60_000);
  await scene.passing(scene.command(beating, 1, 7));
  await scene.until("attempt");
  await scene.clock.pass(100);
  first.pause(4 * ACK_WAIT_MS);
  await worker("second", 1_000, fails);
  await scene.until("attempt", 2);
  await scene.clock.pass(60_000);
}

const twice = () => scene.inbox().filter((text) => text.startsWith("StepStartedTwice"));
const events = () => scene.events.filter(({ type }) => type === "started-twice");
const outcome = (start: string) =>
  JSON.stringify({ v: 1, type: "StepCompleted", slot: 1, step: "beating", attempt: 1, after: 0, start, output: 7 });

describe("a second start of a handler whose first did not crash", () => {
  it("is a message in the history, an event and a metric", async () => {
    await frozenAtWork(false);
    expect(scene.inbox()).toEqual(["StepCompleted 1/1 7", "StepStartedTwice 1/1"]);
    expect(events()).toMatchObject([{ run: "r", step: "beating", slot: 1, attempt: 1 }]);
    expect(counted).toEqual(["beating"]);
    expect(scene.commands).toBe(0);
  });

  it("is found by the fence of the slot's records", async () => {
    await frozenAtWork(true);
    expect(twice()).toEqual(["StepStartedTwice 1/1"]);
    expect(scene.records().filter(({ attempt }) => attempt === 1)).toHaveLength(1);
    expect(counted).toEqual(["beating"]);
  });

  it("is found by an outcome that took its message id", async () => {
    await worker("first", 2_000);
    await scene.clock.pass(60_000);
    await scene.passing(scene.command(beating, 1, 7));
    await scene.until("attempt");
    const { subjects } = scene.log;
    await scene.passing(
      scene.log.append(subjects.inboxFrom("worker", "r"), outcome("elsewhere"), { id: "r.1.0.1.done" }),
    );
    await scene.until("completed");
    await scene.clock.pass(1_000);
    // Its own is stored as well, and changes nothing.
    expect(scene.inbox()).toEqual(["StepCompleted 1/1 7", "StepCompleted 1/1 7", "StepStartedTwice 1/1"]);
    expect(counted).toEqual(["beating"]);
  });

  it("is found by a look, where the server would have forgotten that id", async () => {
    await worker("first", 150_000);
    await scene.clock.pass(60_000);
    await scene.passing(scene.command(beating, 1, 7));
    await scene.until("attempt");
    const { subjects } = scene.log;
    await scene.passing(
      scene.log.append(subjects.inboxFrom("worker", "r"), outcome("elsewhere"), { id: "r.1.0.1.done" }),
    );
    await scene.until("settled");
    await scene.clock.pass(1_000);
    expect(scene.inbox()).toEqual(["StepCompleted 1/1 7", "StepStartedTwice 1/1"]);
    expect(counted).toEqual(["beating"]);
  });
});

describe("nothing of the kind is reported", () => {
  it("where the first start crashed", async () => {
    const first = await worker("first", 1_000);
    await scene.clock.pass(60_000);
    await scene.passing(scene.command(beating, 1, 7));
    await scene.until("attempt");
    first.kill();
    await worker("second", 1_000);
    await scene.until("completed");
    await scene.clock.pass(60_000);
    expect(scene.inbox()).toEqual(["StepCompleted 1/1 7"]);
    expect(events()).toEqual([]);
  });

  it("where an attempt is made again after a failure", async () => {
    await worker("first", 500, true);
    await scene.clock.pass(60_000);
    await scene.passing(scene.command(beating, 1, 7));
    await scene.until("failed");
    await scene.clock.pass(1_000);
    expect(twice()).toEqual([]);
  });

  it("where the answer to its own outcome was lost", async () => {
    let lost = 0;
    scene = new Scene({ ...near, timeoutMs: 2_000, loses: (kind) => kind === "answer" && lost > 0 && lost-- > 0 });
    await worker("first", 500);
    await scene.clock.pass(60_000);
    await scene.passing(scene.command(beating, 1, 7));
    await scene.until("attempt");
    lost = 1;
    await scene.until("completed");
    await scene.clock.pass(10_000);
    expect(lost).toBe(0);
    expect(scene.inbox()).toEqual(["StepCompleted 1/1 7"]);
  });

  it("where the engine gave the slot up meanwhile", async () => {
    const first = await worker("first", 1_000);
    await scene.clock.pass(60_000);
    await scene.passing(scene.command(beating, 1, 7));
    await scene.until("attempt");
    const { subjects } = scene.log;
    const gone = { v: 1, type: "SlotTimedOut", slot: 1, kind: "total", after: 0 };
    await scene.passing(scene.log.append(subjects.inboxFrom("coordinator", "r"), JSON.stringify(gone)));
    first.pause(2 * ACK_WAIT_MS);
    await scene.until("settled");
    await scene.clock.pass(1_000);
    expect(twice()).toEqual([]);
  });
});
