import { fixed, step } from "@stepstream/sdk";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { Scene } from "./scene.ts";

/** Who holds a command, and until when: the worker on a log in memory, in virtual time. */

const ACK_WAIT_MS = 3_000;
const numbers = { input: z.number(), output: z.number() };
const beating = step("beating", {
  ...numbers,
  heartbeat: `${ACK_WAIT_MS}ms`,
  retry: { maxAttempts: 3, backoff: fixed("1s") },
});

/** A server a millisecond away. */
const near = { latencyMs: () => 1, staleMs: () => 0, timerLateMs: () => 0, timeoutMs: 60_000, loses: () => false };

let scene: Scene;
/** Effects on the server, by process. */
let effects: { process: string; effect: string; at: number }[];
let onEffect: (process: string, effect: string) => void;
beforeEach(() => {
  effects = [];
  onEffect = () => {};
  scene = new Scene({
    ...near,
    onEffect(process, effect) {
      effects.push({ process, effect, at: scene.clock.now() });
      onEffect(process, effect);
    },
  });
});
afterEach(() => scene.stop());

const of = (what: string) => effects.filter(({ effect }) => effect.startsWith(what));

/** Starts a worker in a process of its own, whose handler takes so long and keeps its heartbeat. */
async function worker(workMs: number, starts: string[] = []) {
  const log = scene.process();
  const pause = (ms: number) => new Promise<void>((resolve) => void log.clock.setTimeout(resolve, ms));
  const made = scene.worker({}, log).handle(beating, async (n, ctx) => {
    starts.push(log.process.name);
    for (let left = workMs; left > 0; left -= 500) {
      ctx.heartbeat();
      await pause(Math.min(500, left));
    }
    return n;
  });
  await scene.passing(made.start());
  return { log, starts };
}

describe("a worker keeps alive at once what", () => {
  const kept = (at: number) => of("working").filter((one) => one.at === at).length;

  it("was delivered before", async () => {
    await scene.passing(scene.command(beating, 1, 7));
    const { log } = await worker(20_000);
    await scene.until("attempt");
    log.kill();
    await worker(100);
    const before = of("read ").length;
    await scene.until("attempt", 2);
    // In the instant of its first look at the log.
    expect(kept(of("read ")[before]!.at)).toBeGreaterThanOrEqual(1);
  });

  it("was stored more than a third of the ack wait ago, and nothing younger", async () => {
    const begun: number[] = [];
    const log = scene.process();
    const busy = step("busy", { ...numbers, heartbeat: `${ACK_WAIT_MS}ms`, concurrency: 1 });
    const made = scene.worker({}, log).handle(busy, async (n) => {
      begun.push(scene.clock.now());
      await new Promise<void>((resolve) => void log.clock.setTimeout(resolve, 600));
      return n;
    });
    await scene.passing(made.start());
    await scene.clock.pass(60_000);
    // The second waits for the first, and the third for both.
    await scene.passing(Promise.all([1, 2, 3].map((slot) => scene.command(busy, slot, slot))));
    await scene.until("completed", 3);
    expect(begun.map(kept)).toEqual([0, 0, 1]);
    expect(of("read ")).toEqual([]);
  });
});

describe("a worker keeps alive at once what has waited, so that a restart of the server", () => {
  it("gives none of 50 commands in hand to another", async () => {
    const slots = Array.from({ length: 50 }, (_, i) => i + 1);
    for (const slot of slots) await scene.passing(scene.command(beating, slot, slot));
    await scene.clock.pass(2 * ACK_WAIT_MS);
    const { starts } = await worker(4_000);
    await scene.until("attempt", slots.length);
    await worker(4_000, starts);
    scene.server.restart({ forgetMs: 0 });
    await scene.until("completed", slots.length);
    await scene.clock.pass(3 * ACK_WAIT_MS);
    expect(starts).toHaveLength(slots.length);
    expect(scene.commands).toBe(0);
  });
});

describe("a worker asks again, before its handler begins,", () => {
  /**
   * Both workers have the command: the first gets it while it is frozen. When it thaws, the second is still at work, so a
   * look-up finds the slot open; the answer to that waits for the first worker to thaw again.
   */
  async function frozenTwice(finish: (log: ReturnType<Scene["process"]>) => void) {
    const starts: string[] = [];
    const first = await worker(100, starts);
    // Its request for commands is on the server.
    await scene.clock.pass(10);
    first.log.pause(ACK_WAIT_MS + 500);
    await scene.passing(scene.command(beating, 1, 7));
    await worker(2_000, starts);
    let frozen = false;
    onEffect = (process, effect) => {
      if (frozen || process !== first.log.process.name || !effect.startsWith("read ")) return;
      if (!effect.includes("inbox")) return;
      frozen = true;
      finish(first.log);
    };
    await scene.until("completed");
    expect(frozen).toBe(true);
    await scene.clock.pass(60_000);
    return { starts, first: first.log.process.name };
  }

  it("where the answer took as long as another worker needs", async () => {
    const { starts, first } = await frozenTwice((log) => log.pause(14_000));
    expect(starts).not.toContain(first);
    expect(starts).toHaveLength(1);
    expect(scene.commands).toBe(0);
  });

  it("and begins all the same where the log is always slow", async () => {
    scene = new Scene({
      ...near,
      latencyMs: () => ACK_WAIT_MS / 4,
      onEffect: (process, effect) => onEffect(process, effect),
    });
    let reads = 0;
    onEffect = (_, effect) => {
      if (effect.startsWith("read ")) reads++;
    };
    const { starts } = await worker(100);
    await scene.clock.pass(60_000);
    await scene.passing(scene.command(beating, 1, 7, { attempt: 2 }));
    await scene.until("completed");
    expect(starts).toHaveLength(1);
    // The last record of the slot, and what workers and coordinators have sent.
    expect(reads).toBe(1 + 3 * 3);
  });
});
