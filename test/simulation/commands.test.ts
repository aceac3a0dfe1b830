/** What a coordinator does with a command whose answer does not come: in virtual time. */
import { LogUnavailableError } from "@stepstream/contracts";
import { createBoundary, createCoordinator } from "@stepstream/coordinator";
import type { EventLog } from "@stepstream/event-log";
import { type MemoryLog, MemoryServer } from "@stepstream/event-log/memory";
import { connect, step, workflow } from "@stepstream/sdk";
import { Chance, countedMacrotask, VirtualClock } from "@stepstream/testing";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { settled } from "./settled.ts";

const ints = { input: z.int(), output: z.int() };
const add = step("add", ints);
const one = workflow("one", ints, (n, w) => w.run(add, n));

type Append = () => Promise<unknown>;
const lost = (outcome: "unknown" | "not stored") =>
  new LogUnavailableError("an append", "so the test wants it", { outcome });

/** Runs it; of the appends to COMMANDS the first is done by `first`. */
async function play(first: (log: MemoryLog, append: Append, text: string) => Promise<void>) {
  const clock = new VirtualClock(new Chance(1).next);
  const server = new MemoryServer({ namespace: "commands", partitions: 1, clock });
  const soon = <T>(promise: Promise<T>) => settled(clock, promise, 600_000);
  const log = server.connect("coordinator");
  const appends: string[] = [];
  let looks = 0;
  const tricked = new Proxy(log, {
    get(target: MemoryLog, key: keyof EventLog) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      const tricky = async (args: any[]) => {
        appends.push(args[1]);
        if (appends.length === 1) await first(target, () => value.apply(target, args), args[1]);
        return value.apply(target, args);
      };
      return (...args: any[]) => {
        const isCommand = typeof args[0] === "string" && args[0].includes(".command.");
        if (key === "last" && isCommand) looks++;
        return key === "append" && isCommand ? tricky(args) : value.apply(target, args);
      };
    },
  }) as EventLog;
  const events: string[] = [];
  const coordinator = await soon(
    createCoordinator({
      log: tricked,
      clock: log.clock,
      workflows: [one],
      boundary: createBoundary(countedMacrotask),
      onEvent: ({ type }) => void events.push(type),
    }).start(),
  );
  const client = await soon(connect({ log: server.connect("client"), clock }));
  const run = await soon(client.start(one, 4, { id: "r" }));
  await soon(new Promise<void>((resolve) => void clock.setTimeout(resolve, 3_000)));
  const outstanding = (await soon(log.list("COMMANDS", log.subjects.all.commandsOfRun("r")))).size;
  const { status } = await soon(run.status());
  await soon(coordinator.stop());
  const republished = appends.map((text) => JSON.parse(text).republished === true);
  return { republished, looks, outstanding, status, rebuilt: events.filter((e) => e === "rebuilt").length };
}

describe("a command whose answer", () => {
  it("says that it is not stored is sent again, and its run stays in memory", async () => {
    const outcome = await play(async () => {
      throw lost("not stored");
    });
    expect(outcome).toEqual({ republished: [false, false], looks: 0, outstanding: 1, status: "running", rebuilt: 0 });
  });

  it("is lost is looked for, and sent again, marked as such, if it was not stored", async () => {
    const outcome = await play(async () => {
      throw lost("unknown");
    });
    expect(outcome).toEqual({ republished: [false, true], looks: 1, outstanding: 1, status: "running", rebuilt: 0 });
  });

  it("is lost is looked for, and found if it was stored", async () => {
    const outcome = await play(async (_log, append) => {
      await append();
      throw lost("unknown");
    });
    expect(outcome).toEqual({ republished: [false], looks: 1, outstanding: 1, status: "running", rebuilt: 0 });
  });

  it("is lost is not sent again once it was handled, though the server has forgotten it", async () => {
    const outcome = await play(async (log, _append, text) => {
      const { after } = JSON.parse(text);
      const done = { v: 1, type: "StepCompleted", slot: 1, step: "add", attempt: 1, after, output: 5 };
      await log.append(log.subjects.inboxFrom("worker", "r"), JSON.stringify(done), { id: "done" });
      throw lost("unknown");
    });
    expect(outcome).toMatchObject({ republished: [false], looks: 1, outstanding: 0, status: "completed" });
  });
});
