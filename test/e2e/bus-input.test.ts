/**
 * What anybody who may publish can put on the subjects of a namespace, stored or live: no process of Stepstream ends or
 * falls silent over it, and no run that it is not about notices.
 */
import { createHash } from "node:crypto";
import { connect, headers, type NatsConnection } from "@nats-io/transport-node";
import type { Sender } from "@stepstream/contracts";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { ContainmentScene } from "./containment-scene.ts";
import { bystander } from "./programs/contained/bystander.ts";

const TIMEOUT_MS = 120_000;

let server: TestServer;
let bus: NatsConnection;
let scene: ContainmentScene;
let count = 0;

beforeAll(async () => {
  server = await startTestServer();
  bus = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
});
afterAll(async () => {
  await bus?.close();
  await server?.stop();
});
beforeEach(async () => {
  scene = new ContainmentScene(server, `input-${process.pid}-${++count}`, []);
  await scene.open();
});
afterEach(() => scene?.close());

/** Stores a message as a client of another make would. @returns its sequence. */
async function store(subject: string, body: string | Uint8Array, lines: Record<string, string> = {}): Promise<number> {
  const hdrs = headers();
  for (const [name, value] of Object.entries(lines)) hdrs.set(name, value);
  const answer = await bus.request(subject, body, { headers: hdrs, timeout: 10_000 });
  const ack = answer.json<{ seq?: number; error?: { description: string } }>();
  expect(ack.error, subject).toBeUndefined();
  return ack.seq!;
}

/** Lines of the coordinators' logs that warn. */
function warnings(pattern: RegExp): string[] {
  return scene.coordinators
    .flatMap(({ lines }) => lines)
    .filter((line) => /"level":[45]0/.test(line) && pattern.test(line));
}

const ns = () => scene.namespace;
const ascending = (a: number, b: number) => a - b;

/** A run id that has the partition. */
function runOf(partition: number, prefix = "r"): string {
  for (let i = 0; ; i++) if (scene.log.subjects.partition(`${prefix}${i}`) === partition) return `${prefix}${i}`;
}

describe("subjects that are none of ours", () => {
  it("block no reader, now or after a restart, and no list", { timeout: TIMEOUT_MS }, async () => {
    const run = runOf(1);
    const inboxes = [
      "1.a.b",
      "1",
      `1.${run}`,
      `1.${run}.nobody`,
      `1.${run}.client.x`,
      `2.${run}`,
      "1.a b".replace(" ", "%20"),
      "1.ä",
      `01.${run}`,
      `1.${"x".repeat(65)}`,
    ];
    const stored = [
      ...inboxes.map((rest) => `inbox.${rest}`),
      ...["1", "1.a.b.c", `1.${run}`, `1.${run}.x`, `1.${run}.0`, `1.${run}.1e3`, `2.${run}.1`].map(
        (rest) => `due.${rest}`,
      ),
      ...["1.a.b", `2.${run}`, "1"].map((rest) => `journal.${rest}`),
      ...["1.a.b", `1.${run}.x`].map((rest) => `attempts.${rest}`),
      ...["1.a.b", "1", `2.${run}`].map((rest) => `parked.${rest}`),
      ...[`tick.1.${run}.notaslot`, "tick", `tick.2.${run}.1`, `x.1.${run}.notaslot`, `x.1.${run}`].map(
        (r) => `command.${r}`,
      ),
      ...["1.a.b", `1.${run}.x`].map((rest) => `timer.${rest}`),
      ...["1.a.b", `x.1.${run}.x`, "x"].map((rest) => `dead.${rest}`),
    ].map((rest) => `${ns()}.${rest}`);
    for (const subject of stored) await store(subject, "{}");
    // Empty, and headers only.
    await store(`${ns()}.inbox.1.a.c`, "");
    await store(`${ns()}.inbox.1.a.d`, "", { Hello: "you" });
    await store(`${ns()}.inbox.1.${run}.client`, "");

    await scene.othersAreWell();
    // What a consumer reads is a dead letter now, and acknowledged.
    await expect
      .poll(async () => [...(await scene.log.backlog("EVENTS")).values()].every(({ waiting }) => waiting === 0))
      .toBe(true);
    const dead = await scene.cli(["dead", "ls", "--json", "--limit", "1000"]);
    expect(dead, dead.err).toMatchObject({ code: 0 });
    const about = dead.out
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line).letter.subject);
    // No consumer reads a subject without a run.
    const read = inboxes.filter((one) => /^[12]\..+/.test(one)).map((one) => `inbox.${one}`);
    for (const rest of [...read, `due.1.${run}.x`, `command.tick.1.${run}.notaslot`])
      expect(about).toContain(`${ns()}.${rest}`);
    for (const args of [["ls"], ["ls", "--rebuild"], ["queue"], ["dead", "ls"], ["schedule", "ls"]]) {
      const ran = await scene.cli(args);
      expect(ran, `${args.join(" ")}: ${ran.err}`).toMatchObject({ code: 0 });
    }
    expect((await scene.cli(["doctor"])).code).toBeLessThanOrEqual(1);
    expect((await scene.client.list()).map(({ id }) => id)).not.toContain(run);
    // The id that a message was put under before any start is free.
    await scene.start(bystander, { every: 100 }, run);

    await scene.restart();
    await scene.othersAreWell();
    await scene.client.get(run).signal("finish", true);
    expect(await scene.client.get(run).result({ timeout: "15s" })).toEqual({ rounds: expect.any(Number) });
  });
});

describe("control messages", () => {
  it("that cannot be read, or say what cannot be, are ignored with one warning", { timeout: TIMEOUT_MS }, async () => {
    const ids = new Set<string>();
    const presence = bus.subscribe(`${ns()}.presence`, {
      callback: (_, msg) => void ids.add(msg.json<{ id: string }>().id),
    });
    await expect.poll(() => ids.size).toBe(2);
    presence.unsubscribe();
    const run = "bystander-1";
    const inbox = await scene.log.read(scene.log.subjects.inbox(run));
    const { seq } = inbox.at(-1)!;
    const core = [
      "presence",
      "roll-call",
      "workers",
      `cancel.${run}`,
      "cancel.nobody",
      "breaker.tick",
      "live.journal.1.a",
      `query.${scene.log.subjects.partition(run)}.${run}`,
      "query.1.nobody",
      "query.99.a",
      `live.journal.1.${run}`,
      ...[...ids].flatMap((id) => [`guest.${id}`, `guest-query.${id}.${run}`, `guest-query.${id}.a%b`]),
    ].map((rest) => `${ns()}.${rest}`);
    const bodies = [
      "",
      " ",
      "not JSON",
      "null",
      "[]",
      "7",
      "{}",
      '{"v":2,"type":"Presence","id":"c-x","leaving":false}',
      '{"v":1,"type":"Nonsense"}',
      '{"v":1}',
      `{"v":1,"type":"Presence","id":"a.b *>","leaving":false}`,
      `{"v":1,"type":"Presence","id":"","leaving":false}`,
      JSON.stringify({
        v: 1,
        type: "Presence",
        id: "c-many",
        leaving: true,
        workflows: new Array(100_000).fill("a@1"),
      }),
      ...[...ids].map((id) => JSON.stringify({ v: 1, type: "Presence", id, leaving: true })),
      JSON.stringify({ v: 1, type: "GuestMessage", from: "a b.c", run, seq }),
      JSON.stringify({ v: 1, type: "GuestMessage", from: "nobody", run, seq }),
      JSON.stringify({ v: 1, type: "GuestMessage", from: "nobody", run: "nobody", seq: Number.MAX_SAFE_INTEGER }),
      JSON.stringify({ v: 1, type: "GuestDone", run, seq }),
      JSON.stringify({ v: 1, type: "GuestDone", run, seq, againMs: 1e300 }),
      JSON.stringify({ v: 1, type: "CancelSlots", run: "other", slots: [1, 2, 3], reason: "forged" }),
      JSON.stringify({ v: 1, type: "CancelSlots", run, slots: [1e9], reason: "x".repeat(100_000) }),
      `{"v":1,"type":"QueryRun","name":"rounds","input":${"[".repeat(10_000)}${"]".repeat(10_000)}}`,
      "\u0000\u0001",
      "\ufffd".repeat(1_000),
    ];
    for (let round = 0; round < 3; round++)
      for (const subject of core) for (const body of bodies) bus.publish(subject, body);
    await bus.flush();
    await scene.othersAreWell();
    // Some thousands of messages; a warning for each subject and coordinator in 10 s, and a few windows.
    const ignored = warnings(/ignored a message/);
    expect(ignored.length).toBeGreaterThan(0);
    expect(ignored.length).toBeLessThan(40);
    expect(await scene.client.get(run).query("rounds")).toEqual(expect.any(Number));
  });
});

describe("references to large payloads", () => {
  /** Puts a text into the object store. @returns the hash. */
  async function blob(run: string, text: string): Promise<string> {
    const data = Buffer.from(text);
    const hash = createHash("sha256").update(data).digest("hex");
    for (let i = 0; i * CHUNK < data.length; i++)
      await store(`${ns()}.blob.${run}.${hash}.${i + 1}`, data.subarray(i * CHUNK, (i + 1) * CHUNK));
    return hash;
  }
  const CHUNK = 500_000;
  const start = (id: string, more = {}) => ({
    v: 1,
    type: "RunStarted",
    id,
    workflow: "bystander",
    version: 1,
    input: { every: 100, padding: "x".repeat(1_200_000) },
    ...more,
  });
  async function ends(run: string): Promise<void> {
    await scene.client.get(run).signal("finish", true);
    expect(await scene.client.get(run).result({ timeout: "15s" })).toEqual({ rounds: expect.any(Number) });
  }

  it("are read in any spelling", { timeout: TIMEOUT_MS }, async () => {
    const spellings: [string, (ref: Record<string, unknown>) => string][] = [
      ["python", (ref) => JSON.stringify(ref).replaceAll(":", ": ").replaceAll(",", ", ")],
      ["indented", (ref) => JSON.stringify(ref, null, 2)],
      ["reversed", (ref) => JSON.stringify(Object.fromEntries(Object.entries(ref).reverse()))],
      ["escaped", (ref) => JSON.stringify(ref).replace('"Ref"', '"\\u0052ef"').replace("/", "\\/")],
      ["more", (ref) => JSON.stringify({ note: "more", ...ref })],
    ];
    for (const [run, spell] of spellings) {
      const text = JSON.stringify(start(run));
      const hash = await blob(run, text);
      const ref = { v: 1, type: "Ref", key: `${run}/${hash}`, bytes: Buffer.byteLength(text), chunk: CHUNK };
      await store(scene.log.subjects.inboxFrom("client", run), spell(ref), { "Stepstream-Ref": hash });
    }
    for (const [run] of spellings) await ends(run);
  });

  it("that fit nothing delay nobody, and become dead letters", { timeout: TIMEOUT_MS }, async () => {
    const known = await blob("whole", JSON.stringify(start("whole")));
    const none = "0".repeat(64);
    const bytes = Buffer.byteLength(JSON.stringify(start("whole")));
    const refs: object[] = [
      { key: `RUN/${none}`, bytes: 2 ** 53, chunk: 1 },
      { key: `RUN/${none}`, bytes: Number.MAX_SAFE_INTEGER, chunk: Number.MAX_SAFE_INTEGER },
      { key: `RUN/${none}`, bytes: 268_435_456, chunk: 524_288 },
      { key: `RUN/${none}`, bytes: 268_435_456, chunk: 1_024 },
      { key: `RUN/${none}`, bytes: 9, chunk: 9 },
      { key: `whole/${known}`, bytes, chunk: CHUNK },
      { key: `RUN/${none}`, bytes: -1, chunk: 0 },
      { key: "../../etc/passwd", bytes: 1, chunk: 1 },
      {},
    ];
    const subjects: string[] = [];
    for (const [i, ref] of refs.entries())
      for (const kind of ["start", "live"]) {
        const run = kind === "start" ? `ref-${i}` : `bystander-${(i % 6) + 1}`;
        const body = JSON.stringify({ v: 1, type: "Ref", ...ref }).replace("RUN/", `${run}/`);
        await store(scene.log.subjects.inboxFrom("client", run), body, { "Stepstream-Ref": none });
        subjects.push(scene.log.subjects.inboxFrom("client", run));
      }
    // Right in all but the number of bytes.
    for (const [run, wrong] of [
      ["short", -1],
      ["long", 1],
    ] as const) {
      const hash = await blob(run, JSON.stringify(start(run)));
      const size = Buffer.byteLength(JSON.stringify(start(run))) + wrong;
      const body = JSON.stringify({ v: 1, type: "Ref", key: `${run}/${hash}`, bytes: size, chunk: CHUNK });
      await store(scene.log.subjects.inboxFrom("client", run), body, { "Stepstream-Ref": hash });
      subjects.push(scene.log.subjects.inboxFrom("client", run));
    }
    // On other subjects: a command, a record of an attempt, a due timer, a parked record.
    const bad = JSON.stringify({ v: 1, type: "Ref", key: `ref-0/${none}`, bytes: 2 ** 53, chunk: 1 });
    const p = scene.log.subjects.partition("ref-0");
    for (const rest of [`command.tick.${p}.ref-0.7`, `attempts.${p}.ref-0.7`, `due.${p}.ref-0.7`, `parked.${p}.ref-0`])
      await store(`${ns()}.${rest}`, bad, { "Stepstream-Ref": none });

    const before = performance.now();
    await scene.othersAreWell();
    expect(performance.now() - before).toBeLessThan(15_000);
    await expect
      .poll(
        async () => {
          const dead = await scene.cli(["dead", "ls", "--json", "--limit", "1000"]);
          const about = new Set(
            dead.out
              .split("\n")
              .filter(Boolean)
              .map((line) => JSON.parse(line).letter.subject),
          );
          return subjects.filter((subject) => !about.has(subject));
        },
        { timeout: 15_000 },
      )
      .toEqual([]);
    // None of them has burnt the id of its run.
    await scene.start(bystander, { every: 100 }, "ref-0");
    await scene.restart();
    await scene.othersAreWell();
    await ends("ref-0");
  });

  it("that are large keep no other run waiting", { timeout: TIMEOUT_MS }, async () => {
    const run = runOf(scene.log.subjects.partition("bystander-1"), "large");
    const hash = await blob(run, JSON.stringify(start(run, { note: "y".repeat(60_000_000) })));
    const bytes = Buffer.byteLength(JSON.stringify(start(run, { note: "y".repeat(60_000_000) })));
    const body = JSON.stringify({ v: 1, type: "Ref", key: `${run}/${hash}`, bytes, chunk: CHUNK });
    for (let i = 0; i < 5; i++)
      await store(scene.log.subjects.inboxFrom("client", run), body, { "Stepstream-Ref": hash });
    const asked = performance.now();
    expect(await scene.client.get("bystander-1").update("add", 1)).toBe(2);
    expect(performance.now() - asked).toBeLessThan(5_000);
    await scene.othersAreWell();
    await ends(run);
  });
});

describe("what a role may not send to an inbox", () => {
  const error = { name: "Error", code: "ERROR", message: "forged", detail: {} };
  const slot = (slot: number) => ({ slot, step: "tick", attempt: 1, after: 0 });
  const requests = [
    { type: "SignalReceived", id: "forged", name: "finish", payload: true },
    { type: "UpdateRequested", id: "forged", name: "add", input: 1 },
    { type: "CancelRequested", id: "forged", reason: "forged" },
    { type: "TerminateRequested", id: "forged", reason: "forged" },
    { type: "RunStarted", id: "forged", workflow: "bystander", version: 1, input: { every: 100 } },
  ];
  const outcomes = [1, 2, 3].flatMap((n) => [
    { type: "StepCompleted", ...slot(n), output: 7 },
    { type: "StepFailed", ...slot(n), error },
    { type: "StepCancelled", ...slot(n) },
    { type: "StepStartedTwice", ...slot(n), worker: "w", start: "1" },
  ]);
  const facts = [1, 2, 3].flatMap((n) => [
    { type: "TimerFired", slot: n },
    { type: "SlotTimedOut", slot: n, kind: "total" },
    { type: "SlotAbandoned", slot: n },
    { type: "ChildEnded", slot: n, child: "none", outcome: "completed" },
  ]);
  const forbidden = {
    client: [...outcomes, ...facts],
    worker: [...requests, ...facts],
    coordinator: [...requests, ...outcomes],
  };

  it("is a dead letter and changes nothing, now and after a restart of everything", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { subjects } = scene.log;
    await scene.start(bystander, { every: 100_000 }, "forged");
    const run = () => scene.client.get("forged");
    // It waits for the first of its slots, a timer.
    await expect.poll(async () => (await run().history()).length).toBe(2);
    const own = await scene.log.read(subjects.journal("forged"), { fresh: true });
    const seqs: number[] = [];
    for (const [sender, messages] of Object.entries(forbidden))
      for (const message of messages)
        seqs.push(await store(subjects.inboxFrom(sender as Sender, "forged"), JSON.stringify({ v: 1, ...message })));
    // Nothing is started by a worker, and the id stays free.
    await store(subjects.inboxFrom("worker", "unstarted"), JSON.stringify({ v: 1, ...requests.at(-1) }));
    const letters = async () =>
      (await scene.log.read(subjects.dead("-", "forged", 0), { fresh: true })).map(({ text }) => JSON.parse(text));
    await expect.poll(async () => (await letters()).map(({ seq }) => seq).toSorted(ascending)).toEqual(seqs);
    expect((await letters())[0]).toMatchObject({ code: "MALFORMED_MESSAGE", path: "type" });
    const untouched = async () => {
      expect((await run().status()).status).toBe("running");
      expect(await run().query("rounds")).toBe(0);
      expect(await scene.log.read(subjects.journal("forged"), { fresh: true })).toEqual(own);
      const { out } = await scene.cli(["ls", "--json", "--limit", "1000"]);
      expect(out).toContain('"forged"');
      expect(out).not.toContain('"unstarted"');
      await expect(scene.client.get("unstarted").status()).rejects.toMatchObject({ code: "RUN_NOT_FOUND" });
    };
    await untouched();
    await scene.restart();
    await untouched();
    expect(await run().update("add", 1)).toBe(2);
    await run().signal("finish", true);
    expect(await run().result({ timeout: "15s" })).toEqual({ rounds: 0 });
    await scene.othersAreWell();
  });

  it("or comes late, is before the start of a run, and no part of it", { timeout: TIMEOUT_MS }, async () => {
    const { subjects } = scene.log;
    const late = { v: 1, type: "StepCompleted", ...slot(1), output: 7 };
    await store(subjects.inboxFrom("worker", "late"), JSON.stringify(late));
    await store(subjects.inboxFrom("coordinator", "late"), JSON.stringify({ v: 1, type: "TimerFired", slot: 1 }));
    await scene.start(bystander, { every: 100_000 }, "late");
    const run = () => scene.client.get("late");
    expect(await run().update("add", 1)).toBe(2);
    await scene.restart();
    expect(await run().update("add", 1)).toBe(2);
    await run().signal("finish", true);
    expect(await run().result({ timeout: "15s" })).toEqual({ rounds: 0 });
    expect((await run().history())[0]).toMatchObject({ kind: "inbox", message: { type: "RunStarted" } });
    await run().delete();
    expect(await scene.log.list("EVENTS", subjects.inbox("late"))).toEqual(new Map());
  });
});

describe("a foreign message with the id of one that is to come", () => {
  it("loses no result and no command", { timeout: TIMEOUT_MS }, async () => {
    const run = "twin";
    const other = scene.log.subjects.inboxFrom("client", "somebody-else");
    const first = await scene.start(bystander, { every: 100_000 }, run);
    const { seq, at } = (await scene.log.read(scene.log.subjects.inbox(run)))[0]!;
    // The ids that a worker, and the coordinator, will use for what an update asks for. A worker's has the sequence of the
    // update in it, which comes after all of these.
    const slots = [1, 2, 3, 4];
    const sequences = 300;
    const from = seq + slots.length * sequences;
    for (const slot of slots) {
      for (let after = from; after < from + sequences; after++)
        bus.publish(other, "{}", { headers: idHeader(`${run}.${slot}.${after}.1.done`) });
      bus.publish(`${ns()}.command.nobody.1.x.${slot}`, "{}", {
        headers: idHeader(`${run}.${at.toString(36)}.${slot}.1`),
      });
    }
    await bus.flush();
    expect(await first.update("add", 1, { timeout: "20s" })).toBe(2);
    await scene.othersAreWell();
  });

  function idHeader(id: string) {
    const hdrs = headers();
    hdrs.set("Nats-Msg-Id", id);
    return hdrs;
  }
});

describe("a record that cannot be read", () => {
  it("keeps no other from being found, in any list", { timeout: TIMEOUT_MS }, async () => {
    const run = runOf(2);
    const good = "bystander-1";
    const { subjects } = scene.log;
    await store(subjects.parked(run), "{}");
    await store(subjects.parked(good), "not JSON");
    await store(subjects.command("tick", run, 3), '{"v":1,"type":"RunStep"}');
    await store(subjects.command("nobody", run, 3), "");
    await store(subjects.dead("-", run, 0), "{}");
    await store(subjects.dead("-", run, 0), '{"v":7}');
    await store(subjects.journal(run), "{}");
    await store(subjects.journal(good), "not JSON");
    await store(subjects.attempts(good, 1), "null");
    await scene.othersAreWell();
    for (const args of [
      ["dead", "ls"],
      ["queue"],
      ["ls"],
      ["show", "bystander-7"],
      ["show", good],
      ["history", good],
      ["schedule", "ls"],
    ]) {
      const ran = await scene.cli(args);
      expect(ran, `${args.join(" ")}: ${ran.err}`).toMatchObject({ code: 0 });
    }
    expect((await scene.client.list()).length).toBeGreaterThanOrEqual(12);
    await scene.restart();
    await scene.othersAreWell();
    // Its end is found, although something unreadable came after it.
    await store(subjects.journal(good), "{}");
    expect(await scene.client.get(good).result({ timeout: "10s" })).toEqual({ rounds: expect.any(Number) });
    expect((await scene.client.get(good).status()).status).toBe("completed");
  });
});

describe("a journal that no coordinator wrote", () => {
  const most = Number.MAX_SAFE_INTEGER;
  const events = [{ type: "TimerStarted", slot: 1, fireAt: 9_000_000_000_000 }];
  const decision = (more: object) => ({ v: 1, type: "Decision", upTo: 1, by: "x", events, ...more });
  const later = { v: 1, type: "RunStarted", id: "y", workflow: "bystander", version: 1, slots: 2 ** 40 };
  const forged: Record<string, object> = {
    beyond: decision({ segment: { journalAfter: most - 1, inboxAfter: most - 1 } }),
    journalBeyond: decision({ segment: { journalAfter: most, inboxAfter: 0 } }),
    inboxBeyond: decision({ segment: { journalAfter: 0, inboxAfter: most } }),
    noBegin: decision({ segment: { journalAfter: 5, inboxAfter: 2 } }),
    unheard: decision({ upTo: most }),
    notYet: decision({ upTo: 1_000_000 }),
    slots: decision({ events: [{ type: "RunContinued", after: 1, at: 1, start: later }] }),
    slot: decision({ events: [{ type: "StepScheduled", slot: most, step: "tick", input: 1 }] }),
    version: decision({ v: 2 }),
    end: decision({ events: [{ type: "RunCompleted", output: 1 }] }),
  };

  it("loses no message without a word, and does not keep its run from being removed", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { client, log } = scene;
    const runs = Object.keys(forged);
    await Promise.all(runs.map((run) => scene.start(bystander, { every: 100_000 }, run)));
    await Promise.all(runs.map((run) => client.get(run).update("add", 1)));
    for (const run of runs) await store(log.subjects.journal(run), JSON.stringify(forged[run]));
    // The ids of runs that there are not.
    for (const run of runs) await store(log.subjects.journal(`no-${run}`), JSON.stringify(forged[run]));
    const tell = async (run: string) => {
      const answer = await client
        .get(run)
        .update("add", 1, { timeout: "8s" })
        .catch(({ code }) => code);
      return [run, answer, (await client.get(run).status()).status];
    };
    for (const [run, answer, status] of await Promise.all(runs.map(tell)))
      expect([run, answer, status]).toBeOneOf([
        [run, 2, "running"],
        [run, "CALL_TIMEOUT", "parked"],
        ["end", "RUN_CLOSED", "completed"],
      ]);
    await scene.othersAreWell();
    await scene.restart();
    await scene.othersAreWell();
    await Promise.all(runs.map((run) => scene.canBeRemoved(run)));
    for (const run of runs) {
      const again = await scene.start(bystander, { every: 100_000 }, `no-${run}`);
      await again.terminate({ timeout: "15s" }).catch(({ code }) => expect([run, code]).toEqual(["end", "RUN_CLOSED"]));
    }
  });

  it("with slots beyond all numbers is no obstacle to starting its id again", { timeout: TIMEOUT_MS }, async () => {
    const run = await scene.start(bystander, { every: 100_000 }, "again");
    await store(scene.log.subjects.journal("again"), JSON.stringify(forged.slot));
    await run.update("add", 1);
    const next = await scene.client.start(bystander, { every: 100_000 }, { id: "again", onConflict: "terminate" });
    expect(await next.update("add", 2, { timeout: "15s" })).toBe(3);
  });
});

describe("a start whose slots were used up", () => {
  it("is refused, or parked, and neither keeps the id", { timeout: TIMEOUT_MS }, async () => {
    const start = { v: 1, type: "RunStarted", id: "x", workflow: "bystander", version: 1, input: { every: 100 } };
    for (const [i, slots] of [Number.MAX_SAFE_INTEGER, 2 ** 32, 2 ** 31].entries())
      await store(scene.log.subjects.inboxFrom("client", `beyond-${i}`), JSON.stringify({ ...start, slots }));
    await store(scene.log.subjects.inboxFrom("client", "last"), JSON.stringify({ ...start, slots: 2 ** 31 - 1 }));
    await scene.isParked("last", /has used the last slot, 2147483647/);
    await scene.othersAreWell();
    await scene.canBeRemoved("last");
    for (const i of [0, 1, 2]) {
      const run = await scene.start(bystander, { every: 100 }, `beyond-${i}`);
      expect(await run.update("add", 1)).toBe(2);
    }
  });
});

describe("what is nested too deep", () => {
  const deep = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;

  it("is a dead letter, and its memory is given back", { timeout: TIMEOUT_MS }, async () => {
    const good = "bystander-1";
    const signal = (payload: string) =>
      `{"v":1,"type":"SignalReceived","id":"deep","name":"finish","payload":${payload}}`;
    for (const levels of [600, 10_000, 200_000])
      await store(scene.log.subjects.inboxFrom("client", good), signal(deep(levels)));
    const start = `{"v":1,"type":"RunStarted","id":"x","workflow":"bystander","version":1,"input":${deep(2_000_000)}}`;
    await scene.log.append(scene.log.subjects.inboxFrom("client", "deep"), start);
    await store(
      scene.log.subjects.journal("deep"),
      `{"v":1,"type":"Decision","upTo":1,"by":"x","events":${deep(10_000)}}`,
    );
    await scene.othersAreWell();
    const letters = await scene.cli(["dead", "ls", "--json"]);
    expect(letters.out.split("\n").filter((line) => line.includes("nested deeper"))).toHaveLength(4);
  });

  it("is refused by who would send it", { timeout: TIMEOUT_MS }, async () => {
    const value = JSON.parse(deep(10_000));
    const run = scene.client.get("bystander-1");
    for (const call of [
      () => run.signal("finish", value),
      () => run.update("add", value),
      () => run.query("rounds", value),
      () => scene.client.start(bystander, value),
    ])
      await expect(call()).rejects.toMatchObject({ code: "INVALID_INPUT" });
    await scene.othersAreWell();
  });
});
