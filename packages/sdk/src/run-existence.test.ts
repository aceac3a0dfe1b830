import { RunNotFoundError } from "@stepstream/contracts";
import type { EventLog } from "@stepstream/event-log";
import { MemoryServer } from "@stepstream/event-log/memory";
import { describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { type Client, connect } from "./client.ts";
import { RunExistence } from "./run-existence.ts";
import type { HandleOf } from "./run-handle.ts";
import { HistoryReader } from "./run-history.ts";
import { workflow } from "./workflow.ts";

const desk = workflow(
  "desk",
  {
    input: z.void(),
    output: z.void(),
    signals: { go: z.int() },
    queries: { total: z.int() },
    updates: { add: { input: z.int(), output: z.int() } },
  },
  async () => {},
);

async function scene() {
  const server = new MemoryServer({ partitions: 1 });
  const log = server.connect("client");
  const client = await connect({ log });
  const run = await client.start(desk, undefined, { id: "r1" });
  const admin = server.connect("admin");
  const { subjects } = admin;
  const remove = () => admin.remove(subjects.inboxFrom("client", "r1"));
  /** What a slow worker reports of a run that is gone. */
  const stray = () =>
    admin.append(
      subjects.inboxFrom("client", "r1"),
      '{"v":1,"type":"StepCompleted","slot":1,"step":"a","attempt":1,"output":1}',
    );
  return { client, run, log, admin, remove, stray };
}

type Wait = (run: HandleOf<typeof desk>, client: Client, log: EventLog) => Promise<unknown>;

describe.concurrent("a run that is deleted, or lost with its stream, ends whatever follows it (H1):", () => {
  it.each<[string, Wait]>([
    ["the result, of the one that started it", (run) => run.result()],
    ["the result, of another", (_, client) => client.get("r1").result()],
    [
      "its progress",
      async (run) => {
        for await (const _ of run.progress());
      },
    ],
    ["a signal", (run) => run.signal("go", 1)],
    ["an update", (run) => run.update("add", 1)],
    ["a cancellation", (run) => run.cancel()],
    ["a termination", (run) => run.terminate()],
    ["a query", (run) => run.query("total", undefined, { timeout: "500ms" })],
    [
      "its history",
      async (_, __, log) => {
        const reader = new HistoryReader(log, "r1");
        while (true) {
          await reader.more();
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      },
    ],
  ])(
    "%s",
    async (_what, wait) => {
      const { client, run, log, remove } = await scene();
      const waiting = wait(run, client, log);
      waiting.catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 200));
      await remove();
      const since = performance.now();
      await expect(waiting).rejects.toThrow(RunNotFoundError);
      expect(performance.now() - since).toBeLessThan(10_000);
      await client.close();
    },
    15_000,
  );
});

describe("the existence of a run", () => {
  it("is not shown by what was left behind, or comes late (G1)", async () => {
    const { admin, remove, stray, client } = await scene();
    await remove();
    await stray();
    await expect(new RunExistence(admin, "r1").check()).rejects.toThrow(RunNotFoundError);
    await expect(client.get("r1").result()).rejects.toThrow(RunNotFoundError);
    await expect(client.get("r1").signal("go", 1)).rejects.toThrow(RunNotFoundError);
  });

  it("costs one request once it was seen (G2)", async () => {
    const { log, admin } = await scene();
    for (let i = 0; i < 10; i++) await admin.append(admin.subjects.inboxFrom("client", "r1"), "{}");
    const existence = new RunExistence(log, "r1");
    await existence.check();
    const calls = ["read", "last", "list", "oldest"].map((name) => vi.spyOn(log, name as "read"));
    await existence.check();
    expect(calls.map((call) => call.mock.calls.length)).toEqual([0, 0, 0, 1]);
  });

  it("is not shown by another run of the same id in a stream that was made again (G3)", async () => {
    const { log } = await scene();
    const lost = new RunExistence(log, "r1", 4_711);
    await expect(lost.check()).rejects.toThrow("any more: it was deleted, or its stream was lost");
    await expect(lost.check()).rejects.toThrow(RunNotFoundError);
  });

  it("is that of the next run, where the id was started again", async () => {
    const { client, admin, remove } = await scene();
    const existence = new RunExistence(admin, "r1");
    await existence.check();
    await remove();
    await client.start(desk, undefined, { id: "r1" });
    await existence.check();
  });
});
