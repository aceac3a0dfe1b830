/** Commands that wait for an answer: how long, what they say when none comes, and which command helps next. */

import { createCoordinator } from "@stepstream/coordinator";
import type { EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { type Client, connect } from "@stepstream/sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { approval, cli } from "./scene.ts";

const namespace = `calls-${process.pid}`;
let server: TestServer;
let log: EventLog;
let client: Client;

beforeAll(async () => {
  server = await startTestServer();
  log = await connectEventLog({ nats: server.url, namespace, partitions: 1 });
  client = await connect({ log });
  await client.start(approval, { what: "it" }, { id: "r1" });
  await client.schedules.create("s1", { every: "1d", workflow: approval, input: { what: "it" } });
});
afterAll(async () => {
  await client?.close();
  await log?.close();
  await server?.stop();
});

const run = (args: string | readonly string[]) => cli(args, { NATS_URL: server.url, STEPSTREAM_NAMESPACE: namespace });
const now = new Date().toISOString();

/** Every command that has a --timeout of its own, and how long it waits without. */
const commands: [command: string, wait: string][] = [
  ["cancel r1", "30s"],
  ["terminate r1", "30s"],
  ["signal r1 approve {}", "30s"],
  ['update r1 rename "other"', "30s"],
  ["query r1 state", "5s"],
  ["result r1", "as long as it takes"],
  ["delete r1", "30s"],
  ["schedule show s1", "5s"],
  ["schedule pause s1", "30s"],
  ["schedule resume s1", "30s"],
  ["schedule trigger s1", "30s"],
  [`schedule backfill s1 --from ${now} --to ${now}`, "30s"],
  ["schedule delete s1", "30s"],
];
const name = (command: string) => command.replace(/ [rs]1.*/, "");
const stored = async () =>
  [...(await log.list("EVENTS", `${namespace}.inbox.>`)).values()].reduce((sum, n) => sum + n, 0);

describe("--timeout", { timeout: 60_000 }, () => {
  it.each(commands)("is offered with its default: %s", async (command, wait) => {
    const { code, out } = await run(`${name(command)} --help`);
    expect(code).toBe(0);
    expect(out.replace(/\s+/g, " ")).toMatch(
      new RegExp(`--timeout <duration> how long to wait .*\\(default: ${wait}\\)`),
    );
  });

  const wrong = ["5x", "0", "0s", "-1s", "soon", "25d"];
  it.each(commands)("is refused where it is none, and nothing is sent: %s", async (command) => {
    const before = await stored();
    for (const timeout of wrong) {
      const { code, err } = await run([...command.split(" "), `--timeout=${timeout}`]);
      expect(err).toMatch(new RegExp(`^error: Invalid timeout "${timeout}"\\. Use `));
      expect(code).toBe(2);
    }
    expect(await stored()).toBe(before);
  });
});

describe("where no coordinator is up", { timeout: 60_000 }, () => {
  const told =
    /^error: No answer to .* within 3000 ms\. The message is stored and takes effect once a coordinator handles it\. No coordinator answers in namespace ".*": start one\.\n {2}next: stepstream doctor\n$/;
  const asked = commands.filter(([command]) => !/^(query|result|delete|schedule show)/.test(command));
  it("they say that the message is stored, and what to do", async () => {
    const before = await stored();
    const all = asked.map(async ([command]) => [command, await run(`${command} --timeout 3s`)] as const);
    for (const [command, { code, out, err }] of await Promise.all(all)) {
      expect(err, command).toMatch(told);
      expect({ code, out }, command).toEqual({ code: 4, out: "" });
    }
    expect(await stored()).toBe(before + asked.length);
  });

  it.each(["query r1 state", "schedule show s1"])("a question is not stored: %s", async (command) => {
    const before = await stored();
    const { code, err } = await run(`${command} --timeout 300ms`);
    expect(err).toMatch(/^error: .*answered.*\n {2}next: stepstream doctor\n$/s);
    expect(code).toBe(4);
    expect(await stored()).toBe(before);
  });

  it("what waits for an end says that it has not come; what deletes, that it is too early", async () => {
    expect(await run("result r1 --timeout 300ms")).toEqual({
      code: 4,
      out: "",
      err: "error: No answer to the result of run r1 within 300 ms. It is not over, and goes on.\n  next: stepstream doctor\n",
    });
    expect(await run("delete r1 --timeout 300ms")).toMatchObject({ code: 5 });
  });

  it("a schedule's calls of the client end as well, and what they asked for stands", async () => {
    const handle = client.schedules.get("s1");
    const timeout = 3_000;
    const times = { every: "1h", workflow: approval, input: { what: "it" }, callTimeout: timeout } as const;
    const calls = [
      handle.pause("note", { timeout }),
      handle.resume(undefined, { timeout }),
      handle.trigger({ timeout }),
      handle.backfill({ from: now, to: now, timeout }),
      handle.delete({ timeout }),
      handle.delete({ timeout, history: true }),
      handle.change(times),
      client.schedules.create("s1", { ...times, onConflict: "change" }),
    ];
    for (const { reason } of (await Promise.allSettled(calls)) as PromiseRejectedResult[])
      expect(reason).toMatchObject({ code: "CALL_TIMEOUT", message: expect.stringContaining("start one.") });
    await expect(handle.describe({ timeout: 300 })).rejects.toMatchObject({ code: "QUERY_UNANSWERED" });
    expect((await client.schedules.list({ timeout: "10s" })).map(({ id }) => id)).toEqual(["s1"]);
    for (const call of [() => handle.pause("", { timeout: 0 }), () => handle.trigger({ timeout: "5x" as never })])
      await expect(call()).rejects.toThrow(/^Invalid timeout .* Use /);
    await expect(client.schedules.create("s2", { ...times, callTimeout: 0 })).rejects.toThrow(/^Invalid timeout 0\./);
  });
});

describe("a run that is parked", { timeout: 60_000 }, () => {
  it("is not cancelled: the cause is said, and the command that ends it", async () => {
    const coordinator = createCoordinator({ nats: server.url, namespace, workflows: [] });
    await client.start(approval, { what: "it" }, { id: "p1" });
    await coordinator.start();
    try {
      const cancelled = await run("cancel p1 --reason enough --timeout 20s");
      expect(cancelled.err).toMatch(
        /^error: Run p1 is parked: This coordinator does not know workflow "approval" version 1\..*\nThe request is stored; .* Do not send it again\..*\n {2}next: stepstream terminate p1\n$/,
      );
      expect(cancelled).toMatchObject({ code: 5, out: "" });
      const next = /next: stepstream (.*)\n$/.exec(cancelled.err)![1]!;
      expect(await run(next)).toMatchObject({ code: 0, err: "run p1 is terminated\n" });
      expect(await run("result p1")).toMatchObject({ code: 1, err: expect.stringContaining("terminated") });
    } finally {
      await coordinator.stop();
    }
  });
});

describe("a run that is started with --timeout and --wait", { timeout: 60_000 }, () => {
  it("is waited for until it has failed for that: the time-out is the run's own", async () => {
    const coordinator = createCoordinator({ nats: server.url, namespace, workflows: [approval] });
    await coordinator.start();
    try {
      const args = ["start", "approval", "--input", '{"what":"it"}', "--id", "t1", "--wait", "--timeout", "500ms"];
      const { code, err } = await run(args);
      expect(err).toMatch(/^run t1 failed after .*: .*500 ms/s);
      expect(code).toBe(1);
    } finally {
      await coordinator.stop();
    }
  });
});
