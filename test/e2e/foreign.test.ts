import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import {
  AttemptRecord,
  DeclaredError,
  decode,
  decodeInbox,
  encodeValue,
  Failure,
  fromFailure,
  type RunStep,
  type SlotOutcome,
} from "@stepstream/contracts";
import { type Coordinator, createCoordinator } from "@stepstream/coordinator";
import type { Delivery, EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { type NatsServer, startNatsServer } from "@stepstream/infra";
import { connect, step, workflow } from "@stepstream/sdk";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";

/**
 * A worker or a client in another language can be written from docs/asyncapi.yaml alone. The proof is one in
 * Python (test/e2e/foreign/worker.py). Against the worker the test plays the coordinator by hand; the client
 * speaks to a real one.
 */

const PROGRAM = fileURLToPath(new URL("foreign/worker.py", import.meta.url));
const PYTHON = ["python3", "python"].find((name) => {
  try {
    execFileSync(name, ["-c", "import sys; sys.exit(sys.version_info < (3, 10))"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
});
if (!PYTHON) console.warn("\n  NOT TESTED: workers and clients in another language. Install Python 3.10 or newer.\n");

const greet = step("greet", { input: z.object({ name: z.string() }), output: z.object({ greeting: z.string() }) });
const desk = workflow(
  "desk",
  {
    input: z.object({ limit: z.int() }),
    output: z.string(),
    signals: { approve: z.object({ by: z.string() }) },
    queries: { limit: { input: z.string(), output: z.string() } },
    updates: { raise: { input: z.int(), output: z.int() } },
  },
  async (input, w) => {
    let { limit } = input;
    w.onQuery("limit", (unit) => {
      if (unit === "miles") throw new RangeError("not in miles");
      return `${limit} ${unit}`;
    });
    const upwards = (by: number) => {
      if (by < 0) throw new RangeError("only upwards");
    };
    w.onUpdate(
      "raise",
      (by) => {
        limit += by;
        return limit;
      },
      { validate: upwards },
    );
    const { by } = await w.waitFor("approve");
    return (await w.run(greet, { name: by })).greeting;
  },
);
const Due = z.object({
  due: z.date(),
  big: z.bigint(),
  bytes: z.instanceof(Uint8Array),
  kind: z.object({ $type: z.string() }),
});
const postpone = step("greet", { input: Due, output: Due });
const remind = workflow("remind", { input: Due, output: Due }, (input, w) => w.run(postpone, input));
/** Goes on as new until it has been told so three times. */
const relay = workflow("relay", { input: z.int(), output: z.int(), signals: { go: z.int() } }, async (told, w) => {
  const n = told + (await w.waitFor("go"));
  return n < 3 ? w.continueAsNew(n) : n;
});

describe.skipIf(!PYTHON)("a worker in Python", { timeout: 30_000 }, () => {
  let server: NatsServer;
  let log: EventLog;
  let namespace = 0;
  const workers: ChildProcess[] = [];
  const coordinators: Coordinator[] = [];

  beforeAll(async () => {
    server = await startNatsServer();
  });
  afterAll(() => server?.stop());
  afterEach(async () => {
    for (const worker of workers.splice(0)) await kill(worker);
    for (const coordinator of coordinators.splice(0)) await coordinator.stop();
    await log.close();
  });

  /** A namespace of its own for each test, and a worker in it. */
  async function begin({ worker = true } = {}) {
    begun = "";
    log = await connectEventLog({ nats: server.url, namespace: `py-${++namespace}`, partitions: 8 });
    if (worker) startWorker();
  }
  /** What the handlers of all workers have printed: one line for each attempt begun. */
  let begun = "";
  function startWorker(): ChildProcess {
    const worker = python("work");
    worker.stdout!.on("data", (text) => {
      begun += text;
    });
    workers.push(worker);
    return worker;
  }
  function python(...args: string[]): ChildProcess {
    const child = spawn(PYTHON!, [PROGRAM, server.url, log.subjects.namespace, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1", PYTHONUNBUFFERED: "1" },
    });
    child.stderr!.on("data", (text) => process.stderr.write(`python: ${text}`));
    return child;
  }
  /** What the client prints. */
  async function client(...args: string[]) {
    const child = python(...args);
    workers.push(child);
    let out = "";
    child.stdout!.on("data", (text) => {
      out += text;
    });
    const [code] = await once(child, "close");
    expect(code).toBe(0);
    return JSON.parse(out);
  }
  async function kill(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  /** As a coordinator would: a command for the first slot of a run. */
  async function command(run: string, input: unknown, more: Partial<RunStep> = {}): Promise<void> {
    const started = { v: 1, type: "RunStarted", id: run, workflow: "welcome", version: 1, input };
    const { seq } = await log.append(log.subjects.inboxFrom("client", run), JSON.stringify(started), { expectLast: 0 });
    const message: RunStep = {
      v: 1,
      type: "RunStep",
      run,
      workflow: "welcome",
      slot: 1,
      step: "greet",
      input,
      attempt: 1,
      idempotencyKey: `${run}/1`,
      retry: { maxAttempts: 3, initialMs: 50, factor: 2, maxMs: 1_000, jitter: "full" },
      timeout: { attemptMs: 20_000, totalMs: 60_000 },
      scheduledAt: Date.now(),
      after: seq,
      ...more,
    };
    const subject = log.subjects.command("greet", run, 1);
    await log.append(subject, JSON.stringify(message), { expectLast: 0, id: `${run}.1.1` });
  }

  /** What workers said about the slot; every message is read as the coordinator reads it. */
  async function outcomes(run: string): Promise<SlotOutcome[]> {
    const stored = await log.read(log.subjects.inbox(run), { fresh: true });
    const messages = stored.map(({ subject, text, seq }) => decodeInbox(subject, text, `${run} @ ${seq}`));
    return messages.filter((m): m is SlotOutcome => /^Step/.test(m.type));
  }
  async function attempts(run: string) {
    const stored = await log.read(log.subjects.attempts(run, 1), { fresh: true });
    return stored.map(({ text }) => decode(AttemptRecord, text, run));
  }
  const queued = async () => [...(await log.list("COMMANDS", log.subjects.all.commandsOfStep("greet"))).keys()];
  const settled = (run: string) =>
    expect.poll(async () => [(await outcomes(run)).length, await queued()], { timeout: 15_000 }).toEqual([1, []]);

  it("completes a step, and acks its command once the result is stored", async () => {
    await begin();
    await command("r1", { name: "Eva" });
    await settled("r1");
    const output = { greeting: "Hello, Eva!", attempt: 1, key: "r1/1" };
    expect(await outcomes("r1")).toEqual([{ v: 1, type: "StepCompleted", slot: 1, step: "greet", attempt: 1, output }]);
  });

  it("records failed attempts and tries again, until it succeeds", async () => {
    await begin();
    await command("r1", { name: "Eva", failures: 2 });
    await settled("r1");
    expect(await outcomes("r1")).toMatchObject([{ type: "StepCompleted", attempt: 3 }]);
    expect(await attempts("r1")).toMatchObject([
      { type: "AttemptFailed", attempt: 1, error: { name: "ValueError", code: "ERROR", cause: { name: "KeyError" } } },
      { type: "AttemptFailed", attempt: 2 },
    ]);
  });

  it("fails a step for good with its last attempt", async () => {
    await begin();
    await command("r1", { name: "Eva", failures: 9 });
    await settled("r1");
    const [failed] = await outcomes("r1");
    expect(failed).toMatchObject({ type: "StepFailed", attempt: 3, error: { message: "attempt 3 was told to fail" } });
    expect(await attempts("r1")).toHaveLength(2);
  });

  it("fails a step at once with a declared error", async () => {
    await begin();
    await command("r1", { name: "Mallory", declare: true });
    await settled("r1");
    const [failed] = await outcomes("r1");
    const error = fromFailure(Failure.parse(failed!.type === "StepFailed" && failed!.error));
    expect(error).toBeInstanceOf(DeclaredError);
    expect(error).toMatchObject({ code: "NotWelcome", data: { name: "Mallory" } });
  });

  it("keeps a long attempt alive, so that nobody else gets it", async () => {
    await begin();
    startWorker();
    await command("r1", { name: "Eva", seconds: 3 });
    await settled("r1");
    expect(begun).toBe("attempt 1 at r1/1\n");
    expect(await outcomes("r1")).toMatchObject([{ type: "StepCompleted", attempt: 1 }]);
  });

  it("fails an attempt that takes too long", async () => {
    await begin();
    await command("r1", { name: "Eva", seconds: 10 }, { timeout: { attemptMs: 300 }, attempt: 3 });
    await settled("r1");
    expect(await outcomes("r1")).toMatchObject([{ type: "StepFailed", attempt: 3, error: { name: "TimeoutError" } }]);
  });

  it("does not start what has waited too long", async () => {
    await begin();
    await command("r1", { name: "Eva" }, { timeout: { queueMs: 1_000 }, scheduledAt: Date.now() - 2_000 });
    await settled("r1");
    expect(await outcomes("r1")).toMatchObject([{ type: "StepFailed", error: { message: "queueMs (1000) is over" } }]);
  });

  it("takes over from a worker that was killed: the same attempt, one outcome", async () => {
    await begin({ worker: false });
    const first = startWorker();
    await command("r1", { name: "Eva", seconds: 2, failures: 1 });
    await expect.poll(() => attempts("r1")).toHaveLength(1);
    await new Promise((resolve) => setTimeout(resolve, 500));
    await kill(first);
    startWorker();
    await settled("r1");
    expect(await outcomes("r1")).toMatchObject([{ type: "StepCompleted", attempt: 2 }]);
  });

  it("acks a command that comes again after its outcome was stored, and does not run it", async () => {
    await begin({ worker: false });
    await command("r1", { name: "Eva" });
    await takeAndDie();
    const output = "from the worker that died before its ack";
    const outcome = { v: 1, type: "StepCompleted", slot: 1, step: "greet", attempt: 1, output };
    await log.append(log.subjects.inboxFrom("worker", "r1"), JSON.stringify(outcome));
    startWorker();
    await settled("r1");
    expect(await outcomes("r1")).toMatchObject([{ output }]);
    expect(begun).toBe("");
  });

  it("reports the last failure for a worker that recorded it and died", async () => {
    await begin({ worker: false });
    await command("r1", { name: "Eva" });
    await takeAndDie();
    const error = { name: "TypeError", code: "ERROR", message: "of the worker that died" };
    const record = { v: 1, type: "AttemptFailed", slot: 1, step: "greet", attempt: 1, error };
    await log.append(log.subjects.attempts("r1", 1), JSON.stringify(record), { expectLast: 0 });
    startWorker();
    await settled("r1");
    expect(await outcomes("r1")).toMatchObject([{ type: "StepFailed", attempt: 1, error }]);
    expect(begun).toBe("");
  });

  /** A worker that takes a command and is never heard of again. */
  async function takeAndDie(): Promise<void> {
    const [stream, consumer, filter] = ["COMMANDS", "step-greet", log.subjects.all.commandsOfStep("greet")] as const;
    let taken: (delivery: Delivery) => void;
    const delivered = new Promise<Delivery>((resolve) => {
      taken = resolve;
    });
    let demand = 1;
    const onDelivery = (delivery: Delivery) => {
      demand = 0;
      taken(delivery);
    };
    const consumption = await log.consume({
      stream,
      consumer,
      filter,
      ackWaitMs: 1_000,
      demand: () => demand,
      onDelivery,
    });
    await delivered;
    await consumption.stop();
  }

  it("gives a slot up when it is cancelled, running or queued", async () => {
    await begin();
    await command("r1", { name: "Eva", seconds: 15 });
    await command("r2", { name: "Adam", seconds: 15 });
    const cancel = setInterval(() => {
      for (const run of ["r1", "r2"]) {
        const text = JSON.stringify({ v: 1, type: "CancelSlots", run, slots: [1], reason: "enough" });
        log.broadcast(log.subjects.cancel(run), text);
      }
    }, 300);
    try {
      for (const run of ["r1", "r2"]) await settled(run);
    } finally {
      clearInterval(cancel);
    }
    for (const run of ["r1", "r2"]) expect(await outcomes(run)).toMatchObject([{ type: "StepCancelled", attempt: 1 }]);
  });

  it("reads and writes messages that are too large for the bus", async () => {
    await begin();
    const name = "Ä".repeat(400_000);
    await command("r1", { name, joy: 2_000_000 });
    await settled("r1");
    const [completed] = await outcomes("r1");
    const { greeting } = (completed as { output: { greeting: string } }).output;
    const sha = (text: string) => createHash("sha256").update(text).digest("hex");
    expect(sha(greeting)).toBe(sha(`Hello, ${name}!${"!".repeat(2_000_000)}`));
  });

  it("has a client beside it that starts a run and waits for its result", async () => {
    await begin({ worker: false });
    const first = client("start", "order-1", "welcome", '{"name":"Eva"}');
    const inbox = log.subjects.inbox("order-1");
    await expect.poll(() => log.read(inbox, { fresh: true })).toHaveLength(1);
    const [stored] = await log.read(inbox, { fresh: true });
    expect(decodeInbox(stored!.subject, stored!.text)).toMatchObject({ workflow: "welcome", input: { name: "Eva" } });

    const decision = (upTo: number, event: object) =>
      JSON.stringify({ v: 1, type: "Decision", upTo, by: "test", events: [event] });
    const scheduled = { type: "StepScheduled", slot: 1, step: "greet" };
    const { seq } = await log.append(log.subjects.journal("order-1"), decision(stored!.seq, scheduled), {
      expectLast: 0,
    });
    const done = { type: "RunCompleted", output: "Hello, Eva!" };
    await log.append(log.subjects.journal("order-1"), decision(seq + 1, done), { expectLast: seq });
    expect(await first).toEqual(done);
    expect(await client("start", "order-1", "welcome", '{"name":"Adam"}')).toEqual(done);
    expect(await log.read(inbox, { fresh: true })).toHaveLength(1);
  });

  describe("has a client beside it that, with a real coordinator,", () => {
    async function coordinate(): Promise<void> {
      await begin();
      const { namespace } = log.subjects;
      const coordinator = createCoordinator({ nats: server.url, namespace, workflows: [desk, relay, remind] });
      coordinators.push(coordinator);
      await coordinator.start();
    }
    const stored = (run: string) =>
      expect.poll(() => log.read(log.subjects.inbox(run), { fresh: true })).not.toEqual([]);

    it("starts a run, asks it, changes it, and tells it something", async () => {
      await coordinate();
      const end = client("start", "r1", "desk", '{"limit":4}');
      await stored("r1");
      expect(await client("query", "r1", "limit", '"euros"')).toMatchObject({ type: "QueryAnswer", output: "4 euros" });
      expect(await client("update", "r1", "raise", "3")).toMatchObject({ type: "UpdateCompleted", output: 7 });
      expect(await client("query", "r1", "limit", '"euros"')).toMatchObject({ output: "7 euros" });
      expect(await client("signal", "r1", "approve", '{"by":"Eva"}')).toMatchObject({ type: "SignalAccepted" });
      expect(await end).toEqual({ type: "RunCompleted", output: "Hello, Eva!" });
      expect(await client("query", "r1", "limit", '"euros"')).toMatchObject({ output: "7 euros" });
    });

    it("is sent dates, bigints and bytes, and sends them back", async () => {
      await coordinate();
      const sent = {
        due: new Date("2026-11-26T00:00:00.250Z"),
        big: 2n ** 64n,
        bytes: new Uint8Array([104, 105]),
        kind: { $type: "Date" },
      };
      const local = await connect({ log });
      const run = await local.start(remind, sent, { id: "r1" });
      expect(await run.result()).toEqual({
        due: new Date("2026-11-27T00:00:00.250Z"),
        big: 2n ** 64n + 1n,
        bytes: new Uint8Array([104, 105, 33]),
        kind: { $type: "Date" },
      });
      const end = await client("start", "r2", "remind", JSON.stringify(encodeValue(sent)));
      expect(end).toMatchObject({
        type: "RunCompleted",
        output: { due: { $type: "Date" }, big: { $type: "BigInt", value: "18446744073709551617" } },
      });
      await local.close();
    });

    it("hears what a run refuses, and that it is over", async () => {
      await coordinate();
      const end = client("start", "r1", "desk", '{"limit":4}');
      await stored("r1");
      const refusals = await Promise.all([
        client("update", "r1", "raise", "-1"),
        client("signal", "r1", "approve", '{"by":7}'),
        client("query", "r1", "limit", '"miles"'),
        client("query", "r1", "limits"),
      ]);
      expect(refusals).toMatchObject([
        { type: "UpdateRefused", error: { name: "RangeError", message: "only upwards" } },
        { type: "SignalRefused", error: { code: "INVALID_INPUT", data: { path: "by" } } },
        { type: "QueryAnswer", error: { message: expect.stringContaining("not in miles") } },
        { type: "QueryAnswer", error: { code: "QUERY_FAILED" } },
      ]);
      expect(await client("cancel", "r1")).toMatchObject({ type: "CancelAccepted" });
      const over = { type: "RunCancelled", reason: "asked to in Python" };
      expect(await end).toEqual(over);
      expect(await client("signal", "r1", "approve", '{"by":"Eva"}')).toEqual(over);
    });

    it("follows a run that goes on as new, and tells each of its lives", async () => {
      await coordinate();
      const end = client("start", "r1", "relay", "0");
      await stored("r1");
      for (let n = 1; n <= 3; n++)
        expect(await client("signal", "r1", "go", "1")).toMatchObject({ type: "SignalAccepted", name: "go" });
      expect(await end).toEqual({ type: "RunCompleted", output: 3 });
      const journal = (await log.read(log.subjects.journal("r1"), { fresh: true })).map(({ text }) => text);
      expect(journal.filter((text) => text.includes("RunContinued"))).toHaveLength(2);
    });

    it("ends a run at once, also one that nobody can run", async () => {
      await coordinate();
      const ends = [client("start", "r1", "desk", '{"limit":4}'), client("start", "r2", "unheard-of", "0")];
      await Promise.all([stored("r1"), stored("r2")]);
      for (const run of ["r1", "r2"])
        expect(await client("terminate", run)).toMatchObject({ type: "RunTerminated", reason: "asked to in Python" });
      expect(await Promise.all(ends)).toMatchObject([{ type: "RunTerminated" }, { type: "RunTerminated" }]);
    });
  });
});
