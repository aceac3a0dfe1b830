/**
 * What holds for the event log on a real nats-server beyond what both logs promise: cuts, silences,
 * kills, deleted consumers, large payloads, many subjects.
 */
import { createHash } from "node:crypto";
import { connect, headers, type Msg, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node";
import {
  InvalidInputError,
  LogUnavailableError,
  PartitionMismatchError,
  WrongLastSequenceError,
} from "@stepstream/contracts";
import type { ConsumeOptions, Delivery, EventLog, Stored } from "@stepstream/event-log";
import { systemClock } from "@stepstream/event-log";
import { type ConnectOptions, connectEventLog } from "@stepstream/event-log/jetstream";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { openLink } from "../../packages/event-log/src/jetstream/link.ts";
import { createRequests } from "../../packages/event-log/src/jetstream/requests.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { startWire, type Wire } from "../support/wire.ts";
import { Caught, texts } from "./bed.ts";
import { conformance } from "./suite.ts";

let server: TestServer;
let wire: Wire;
let admin: NatsConnection;
let namespace = "";
let count = 0;
const logs: EventLog[] = [];

beforeAll(async () => {
  server = await startTestServer();
  wire = await startWire(server.url);
  admin = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
});
afterEach(async () => {
  wire.release();
  await Promise.all(logs.splice(0).map((log) => log.close()));
  namespace = "";
});
afterAll(async () => {
  await admin.close();
  await wire.stop();
  await server.stop();
});

function freshNamespace(): string {
  return `t${process.pid.toString(36)}-${++count}-${Date.now().toString(36)}`;
}

/** A log of this test's own namespace. */
async function open(options: Partial<ConnectOptions> = {}): Promise<EventLog> {
  namespace ||= freshNamespace();
  const log = await connectEventLog({ nats: server.url, namespace, ...options });
  logs.push(log);
  return log;
}

async function api(name: string): Promise<any> {
  const answer = await admin.request(`$JS.API.${name}`, "", { timeout: 10_000 });
  return answer.json();
}

/** All inbox messages of the namespace, acked as they come unless told otherwise. */
async function inboxes(log: EventLog, options: Partial<ConsumeOptions> = {}) {
  const caught = new Caught<Delivery>();
  const interrupted = new Caught<string>();
  const consumption = await log.consume({
    stream: "EVENTS",
    consumer: "all",
    filter: `${log.subjects.namespace}.inbox.>`,
    ackWaitMs: 30_000,
    demand: () => 100,
    onDelivery: (delivery) => {
      delivery.ack();
      caught.add(delivery);
    },
    onInterrupted: (why) => interrupted.add(why),
    ...options,
  });
  return { caught, interrupted, consumption };
}

conformance("JetStream", async () => {
  const namespace = freshNamespace();
  const wires = new Map<EventLog, Wire>();
  return {
    async connect() {
      const wire = await startWire(server.url);
      const log = await connectEventLog({ nats: wire.url, namespace });
      wires.set(log, wire);
      return log;
    },
    cut: async (log) => wires.get(log)?.cut(),
    async restartServer() {
      await server.kill();
      await server.restart();
    },
    async close() {
      await Promise.all([...wires.keys()].map((log) => log.close()));
      await Promise.all([...wires.values()].map((wire) => wire.stop()));
    },
  };
});

describe("a namespace", () => {
  it("is made by any number of processes at once, and has the partitions of the first", async () => {
    const made = await Promise.all(Array.from({ length: 8 }, () => open()));
    expect(new Set(made.map((log) => log.subjects.partitions))).toEqual(new Set([16]));
    await expect(open({ partitions: 8 })).rejects.toThrow(PartitionMismatchError);
  });

  it("keeps its number of partitions, whoever asks for none", async () => {
    await open({ partitions: 3 });
    expect((await open()).subjects.partitions).toBe(3);
    expect((await open({ partitions: 3 })).subjects.partitions).toBe(3);
  });

  it("agrees on one number where two processes make it with different ones", async () => {
    const outcomes = await Promise.allSettled([open({ partitions: 3 }), open({ partitions: 5 })]);
    const refused = outcomes.filter((one) => one.status === "rejected");
    expect(refused).toHaveLength(1);
    expect(refused[0]!.reason).toBeInstanceOf(PartitionMismatchError);
  });

  it("keeps what an operator has set for its streams", async () => {
    const { subjects } = await open();
    const stream = `${subjects.namespace}_EVENTS`;
    const { config } = await api(`STREAM.INFO.${stream}`);
    const changed = { ...config, max_bytes: 123_456_789, description: "an operator's" };
    const answer = await admin.request(`$JS.API.STREAM.UPDATE.${stream}`, JSON.stringify(changed));
    expect((answer.json() as any).error).toBeUndefined();
    await open();
    expect((await api(`STREAM.INFO.${stream}`)).config).toMatchObject({
      max_bytes: 123_456_789,
      description: "an operator's",
    });
  });

  it("refuses a name that is no token", async () => {
    await expect(open({ namespace: "a.b" })).rejects.toThrow(InvalidInputError);
  });

  it("names the server where none answers, but not the password", async () => {
    const refused = connectEventLog({ nats: "nats://eva:secret@127.0.0.1:1", namespace: "x" });
    await expect(refused).rejects.toThrow(LogUnavailableError);
    await expect(refused).rejects.toThrow("127.0.0.1:1");
    await expect(refused).rejects.not.toThrow("secret");
  });

  it("leaves a connection open that is not its own", async () => {
    const log = await open({ nats: admin });
    await log.append(log.subjects.inboxFrom("client", "r"), "x");
    await log.close();
    expect(admin.isClosed()).toBe(false);
    await admin.flush();
  });
});

describe("an append whose acknowledgement gets lost", () => {
  it("fails with the cut, at once, and is a duplicate the second time", async () => {
    const log = await open({ nats: wire.url });
    const back = new Promise<string>((resolve) => log.onReconnect(resolve));
    wire.mute();
    const lost = log.append(log.subjects.inboxFrom("client", "r"), "x", { id: "1", expectLast: 0 });
    const stored = await open();
    await expect.poll(() => stored.read(log.subjects.inboxFrom("client", "r"))).toHaveLength(1);
    wire.unmute();
    wire.cut();
    await expect(lost).rejects.toThrow(LogUnavailableError);
    expect(await back).toBe(log.serverId);
    expect(await log.append(log.subjects.inboxFrom("client", "r"), "x", { id: "1" })).toMatchObject({
      duplicate: true,
    });
    // The server looks at the fence before it looks at the id.
    const again = log.append(log.subjects.inboxFrom("client", "r"), "x", { id: "1", expectLast: 0 });
    await expect(again).rejects.toThrow(WrongLastSequenceError);
  });

  it("fails after its time-out where the server stays silent", async () => {
    const log = await open({ nats: wire.url, timeoutMs: 300 });
    wire.mute();
    await expect(log.append(log.subjects.inboxFrom("client", "r"), "x")).rejects.toThrow("within 300 ms");
    await expect(log.read(log.subjects.inboxFrom("client", "r"))).rejects.toThrow(LogUnavailableError);
  });

  it("fails after its time-out, and what comes later answers nothing else", async () => {
    const log = await open({ nats: wire.url, timeoutMs: 300 });
    wire.hold();
    await expect(log.append(log.subjects.inboxFrom("client", "r"), "x")).rejects.toThrow("within 300 ms");
    const next = log.append(log.subjects.inboxFrom("client", "r"), "y");
    wire.release();
    expect(await next).toMatchObject({ duplicate: false });
    expect((await log.read(log.subjects.inboxFrom("client", "r"))).map(({ text, seq }) => [text, seq])).toEqual([
      ["x", (await next).seq - 1],
      ["y", (await next).seq],
    ]);
  });

  it("is not even tried without a connection", async () => {
    const log = await open({ nats: wire.url });
    await wire.stop();
    await expect(log.append(log.subjects.inboxFrom("client", "r"), "x")).rejects.toThrow(LogUnavailableError);
    await expect(log.append(log.subjects.inboxFrom("client", "r"), "x")).rejects.toThrow("no connection");
    wire = await startWire(server.url);
  });
});

describe("a request that is answered in parts", () => {
  it("waits as long as they come, each within the time-out", async () => {
    const link = await openLink([server.url], "parts", systemClock);
    const requests = createRequests(link, 5_000);
    const answer = async (msg: Msg) => {
      for (const part of ["1", "2", "3", "4"]) {
        await new Promise((resolve) => setTimeout(resolve, 600));
        msg.respond(part);
      }
    };
    const answerer = admin.subscribe("slow.parts", { callback: (_error, msg) => void answer(msg) });
    await admin.flush();
    const parts: string[] = [];
    const askedAt = performance.now();
    await requests.many("slow.parts", "", (msg) => parts.push(msg.string()) === 4, { timeoutMs: 1_500 });
    expect(parts).toEqual(["1", "2", "3", "4"]);
    expect(performance.now() - askedAt).toBeGreaterThan(1_500);
    answerer.unsubscribe();
    requests.stop();
    await link.close();
  });
});

describe("a consumption", () => {
  it("never holds more than it asked for, and loses no time over it", async () => {
    const log = await open();
    await Promise.all(
      Array.from({ length: 3_000 }, (_, i) => log.append(log.subjects.inboxFrom("client", `r${i % 100}`), `${i}`)),
    );
    let held = 0;
    let most = 0;
    const caught = new Caught<number>();
    const consumption = await log.consume({
      stream: "EVENTS",
      consumer: "all",
      filter: `${namespace}.inbox.>`,
      ackWaitMs: 30_000,
      demand: () => 7 - held,
      onDelivery: (delivery) => {
        most = Math.max(most, ++held);
        setImmediate(() => {
          held--;
          delivery.ack();
          caught.add(delivery.seq);
          consumption.pull();
        });
      },
    });
    await caught.count(3_000);
    expect(most).toBeLessThanOrEqual(7);
    expect(caught.all).toEqual(Array.from({ length: 3_000 }, (_, i) => i + 1));
  });

  it("is shared: each message goes to one of its holders", async () => {
    const [a, b] = [await open(), await open()];
    const [one, two] = [await inboxes(a, { demand: () => 3 }), await inboxes(b, { demand: () => 3 })];
    const all = new Caught<number>();
    await Promise.all(
      Array.from({ length: 500 }, (_, i) =>
        a.append(a.subjects.inboxFrom("client", `r${i}`), `${i}`).then(({ seq }) => all.add(seq)),
      ),
    );
    await expect.poll(() => one.caught.all.length + two.caught.all.length).toBe(500);
    const seqs = [...one.caught.all, ...two.caught.all].map(({ seq }) => seq);
    expect(new Set(seqs).size).toBe(500);
  });

  it("gives back at once what comes for it after its end", async () => {
    const log = await open({ nats: wire.url });
    const other = await open();
    const first = await inboxes(log);
    // What it gets shows that the server has its pull: else nothing would be on its way to it later.
    await other.append(other.subjects.inboxFrom("client", "r"), "0");
    await first.caught.until((got) => got.length === 1);
    wire.hold();
    for (let i = 1; i <= 20; i++) await other.append(other.subjects.inboxFrom("client", "r"), `${i}`);
    const stopped = first.consumption.stop();
    wire.release();
    await stopped;
    expect(first.caught.all).toHaveLength(1);
    // ack_wait is 30 s: whatever comes within this test's time was given back.
    const second = await inboxes(other);
    const all = await second.caught.until((got) => new Set(got.map(({ seq }) => seq)).size === 20);
    expect(all).toHaveLength(20);
    expect(all.every(({ deliveries }) => deliveries === 2)).toBe(true);
  });

  it("makes its consumer again when somebody deletes it", async () => {
    const log = await open();
    const { caught, interrupted } = await inboxes(log);
    await log.append(log.subjects.inboxFrom("client", "r"), "1");
    await caught.count(1);
    await api(`CONSUMER.DELETE.${namespace}_EVENTS.all`);
    await interrupted.count(1);
    await log.append(log.subjects.inboxFrom("client", "r"), "2");
    // The new consumer begins at the beginning.
    expect(texts(await caught.count(3))).toEqual(["1", "1", "2"]);
  });

  it("survives a cut: tells it, then goes on, and loses nothing", async () => {
    const log = await open({ nats: wire.url });
    const writer = await open();
    const { caught, interrupted } = await inboxes(log, { ackWaitMs: 1_000 });
    const wrote: Promise<unknown>[] = [];
    for (let i = 0; i < 300; i++) {
      wrote.push(writer.append(writer.subjects.inboxFrom("client", `r${i % 10}`), `${i}`));
      if (i % 100 === 50) {
        await wrote.at(-1);
        wire.cut();
        await interrupted.count(Math.ceil(i / 100));
      }
    }
    await Promise.all(wrote);
    const all = await caught.until((got) => new Set(texts(got)).size === 300);
    expect(all.length).toBeGreaterThanOrEqual(300);
    expect(interrupted.all.filter((why) => why === "reconnected").length).toBe(3);
  });

  it("notices a silent server, and loses nothing that comes late", async () => {
    const log = await open({ nats: wire.url });
    const writer = await open();
    const { caught, interrupted } = await inboxes(log);
    wire.hold();
    for (let i = 1; i <= 20; i++) await writer.append(writer.subjects.inboxFrom("client", "r"), `${i}`);
    await interrupted.count(1);
    expect(interrupted.all).toEqual(["the server was silent"]);
    wire.release();
    // ack_wait is 30 s: the late ones were given back, not left to expire.
    const all = await caught.until((got) => new Set(texts(got)).size === 20);
    expect(new Set(texts(all)).size).toBe(20);
  });

  it("does not give away, by a nak from before a cut, what another may have", async () => {
    const log = await open({ nats: wire.url });
    const writer = await open();
    const kept = new Caught<Delivery>();
    const { interrupted } = await inboxes(log, { ackWaitMs: 2_000, onDelivery: (one) => kept.add(one) });
    await writer.append(writer.subjects.inboxFrom("client", "r"), "1");
    await kept.count(1);
    const cutAt = Date.now();
    wire.cut();
    await interrupted.count(1);
    kept.all[0]!.nak();
    const [, again] = await kept.count(2);
    // At once would be some milliseconds after the reconnection, which takes half a second at most.
    expect(Date.now() - cutAt).toBeGreaterThan(1_200);
    expect(again!.deliveries).toBe(2);
    again!.ack();
  });

  it("counts its own deliveries without a hole", async () => {
    const log = await open();
    const { caught } = await inboxes(log, { demand: () => 5 });
    await Promise.all(
      Array.from({ length: 200 }, (_, i) => log.append(log.subjects.inboxFrom("client", `r${i}`), "x")),
    );
    const all = await caught.count(200);
    expect(all.map(({ consumerSeq }) => consumerSeq)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
    await expect.poll(async () => (await log.progress("EVENTS", "all")).delivered).toBe(200);
    expect(await log.progress("EVENTS", "nobody")).toEqual({ delivered: 0, ackFloor: 0 });
  });
});

describe("large payloads", () => {
  const large = (kilobytes: number, of = "ä") => of.repeat((kilobytes * 1_024) / Buffer.byteLength(of));

  it("of 20 MB go through append, read, last, a consumption and a journal's followers", async () => {
    const log = await open();
    const text = large(20 * 1_024);
    const live = new Caught<Stored>();
    log.followJournal("r", (stored) => live.add(stored));
    const { caught } = await inboxes(log);
    await log.append(log.subjects.inboxFrom("client", "r"), text, { expectLast: 0 });
    const { seq } = await log.append(log.subjects.journal("r"), text);
    expect((await caught.count(1))[0]!.text === text).toBe(true);
    expect((await live.count(1))[0]!.seq).toBe(seq);
    expect(live.all[0]!.text === text).toBe(true);
    for (const fresh of [false, true]) {
      expect((await log.read(log.subjects.inboxFrom("client", "r"), { fresh }))[0]!.text === text).toBe(true);
      expect((await log.last(log.subjects.journal("r"), { fresh }))!.text === text).toBe(true);
    }
  });

  it("keep their place among small ones", async () => {
    const log = await open();
    const wrote: string[] = [];
    for (let i = 0; i < 12; i++) {
      const text = i % 3 === 0 ? `${i}${large(600)}` : `${i}`;
      wrote.push(text);
      await log.append(log.subjects.journal("r"), text);
      await log.append(log.subjects.inboxFrom("client", "r"), text);
    }
    const { caught } = await inboxes(log);
    const heads = (all: readonly { text: string }[]) => all.map(({ text }) => text.slice(0, 4));
    expect(heads(await caught.count(12))).toEqual(wrote.map((text) => text.slice(0, 4)));
    expect(texts(await log.read(log.subjects.journal("r"))).every((text, i) => text === wrote[i])).toBe(true);
  });

  it("are stored once, however many write the same", async () => {
    const log = await open();
    const text = large(2_000);
    await Promise.all(Array.from({ length: 4 }, (_, i) => log.append(log.subjects.attempts("r", i + 1), text)));
    for (let slot = 1; slot <= 4; slot++)
      expect((await log.last(log.subjects.attempts("r", slot)))!.text === text).toBe(true);
    const { state } = await api(`STREAM.INFO.${namespace}_BLOBS`);
    expect(state.bytes).toBeLessThan(2.1 * 1_024 * 1_024);
  });

  it.each([
    ["made up", () => "made up"],
    ["of a writer with smaller chunks", (text: string) => text.slice(0, 1_000)],
    ["empty", () => ""],
  ])("are not lost where a chunk of their name has other content: %s", async (_what, other) => {
    const log = await open();
    const text = JSON.stringify({ v: 1, pad: large(600) });
    const hash = createHash("sha256").update(text).digest("hex");
    for (const chunk of [1, 2]) await admin.request(`${namespace}.blob.r.${hash}.${chunk}`, other(text));
    for (let i = 0; i < 2; i++) {
      const { seq } = await log.append(log.subjects.inboxFrom("client", "r"), text);
      const stored = (await log.last(log.subjects.inboxFrom("client", "r")))!;
      expect(stored.seq).toBe(seq);
      expect(JSON.parse(stored.text)).toEqual(JSON.parse(text));
    }
    // The other content is still there.
    const first = await admin.request(`$JS.API.DIRECT.GET.${namespace}_BLOBS.${namespace}.blob.r.${hash}.1`);
    expect(first.string()).toBe(other(text));
  });

  it("are not fetched by a look at the last messages of many subjects", async () => {
    const log = await open();
    const { subjects } = log;
    await log.append(subjects.journal("r"), large(600));
    await log.append(subjects.journal("s"), '{"v":1,"type":"Ref"}');
    const lasts = await log.lasts([subjects.journal("r"), subjects.journal("s")]);
    expect(lasts.get(subjects.journal("r"))).toMatchObject({ isReference: true });
    expect(lasts.get(subjects.journal("r"))!.text.length).toBeLessThan(500);
    expect(lasts.get(subjects.journal("s"))).not.toHaveProperty("isReference");
  });

  it("of runs that are gone are removed, once they are old, and stored again if there is a run afterwards", async () => {
    const log = await open();
    const text = large(600);
    const inbox = log.subjects.inboxFrom("client", "r");
    await log.append(inbox, text);
    await log.append(log.subjects.inboxFrom("client", "s"), text);
    const contents = log.contents!;
    expect(await contents.runs()).toEqual(new Set(["r", "s"]));
    expect(await contents.remove("r", { minAgeMs: 60_000, isGone: async () => true })).toBe(0);
    expect(await contents.remove("r", { minAgeMs: 0, isGone: async () => false })).toBe(0);
    expect((await log.last(inbox))!.text === text).toBe(true);
    expect(await contents.remove("r", { minAgeMs: 0, isGone: async () => true })).toBe(2);
    expect(await contents.runs()).toEqual(new Set(["s"]));
    expect(JSON.parse((await log.last(inbox))!.text)).toMatchObject({ type: "BlobLost" });
    expect((await log.last(log.subjects.inboxFrom("client", "s")))!.text === text).toBe(true);
  });

  it("that are gone become a text that says so, and hold nobody up", async () => {
    const log = await open();
    await log.append(log.subjects.inboxFrom("client", "r"), large(600));
    await log.append(log.subjects.inboxFrom("client", "r"), "2");
    await api(`STREAM.PURGE.${namespace}_BLOBS`);
    const { caught } = await inboxes(log);
    const [lost, next] = await caught.count(2);
    expect(JSON.parse(lost!.text)).toMatchObject({ v: 1, type: "BlobLost", why: "chunk 1 of 2 is not in the store" });
    expect(next!.text).toBe("2");
  });

  it("are no matter of looks: a small text that reads like a reference is one's own", async () => {
    const log = await open();
    const text = `{"v":1,"type":"Ref","key":"r/${"0".repeat(64)}","bytes":9,"chunk":9}`;
    await log.append(log.subjects.inboxFrom("client", "r"), text);
    expect((await log.last(log.subjects.inboxFrom("client", "r")))!.text).toBe(text);
  });
});

describe("timers", () => {
  async function dues(log: EventLog) {
    const caught = new Caught<Delivery>();
    await log.consume({
      stream: "TIMERS",
      consumer: "due",
      filter: log.subjects.all.due(),
      ackWaitMs: 5_000,
      demand: () => 1_000,
      onDelivery: (delivery) => {
        delivery.ack();
        caught.add(delivery);
      },
    });
    return caught;
  }

  it("are never early, and little late", async () => {
    const log = await open();
    const caught = await dues(log);
    const base = Date.now();
    const at = new Map(Array.from({ length: 200 }, (_, i) => [i + 1, base + 200 + ((i * 7.3) % 1_500)]));
    await Promise.all([...at].map(([slot, ms]) => log.setTimer("r", slot, ms)));
    for (const due of await caught.count(200)) {
      const { slot } = log.subjects.parse(due.subject)!;
      expect(due.at).toBeGreaterThanOrEqual(Math.floor(at.get(slot!)!));
      expect(due.text).toBe('{"v":1,"type":"TimerDue"}');
    }
    // Nothing piles up: neither schedules nor what they fired.
    await expect.poll(() => log.list("TIMERS", ">")).toEqual(new Map());
  });

  it("of the past fire at once, those replaced at their new time, those cancelled not at all", async () => {
    const log = await open();
    const caught = await dues(log);
    const now = Date.now();
    await log.setTimer("r", 1, now - 60_000);
    await log.setTimer("r", 2, now + 86_400_000);
    await log.setTimer("r", 2, now + 400);
    await log.setTimer("r", 3, now + 300);
    await log.cancelTimer("r", 3);
    await log.setTimer("r", 4, now + 900);
    await log.setTimer("r", 5, now + 86_400_000);
    const slots = (await caught.count(3)).map(({ subject }) => log.subjects.parse(subject)!.slot);
    expect(slots).toEqual([1, 2, 4]);
    expect([...(await log.list("TIMERS", `${namespace}.timer.>`)).keys()]).toEqual([log.subjects.timer("r", 5)]);
  });
});

describe("many subjects", () => {
  it("are listed, all of them, past the server's page of 100,000", { timeout: 120_000 }, async () => {
    const log = await open({ partitions: 4 });
    const runs = 100_500;
    for (let from = 0; from < runs; from += 5_000) {
      const wave = Array.from({ length: Math.min(5_000, runs - from) }, (_, i) => from + i);
      await Promise.all(wave.map((i) => log.append(log.subjects.parked(`r${i}`), "x")));
    }
    await log.append(log.subjects.parked("r7"), "x");
    const found = await log.list("EVENTS", `${namespace}.parked.>`);
    expect(found.size).toBe(runs);
    expect(found.get(log.subjects.parked("r7"))).toBe(2);
    const one = await log.list("EVENTS", log.subjects.all.parked(1));
    expect([...one.keys()].every((subject) => log.subjects.parse(subject)!.partition === 1)).toBe(true);
    expect(await log.read(log.subjects.parked("r99999"))).toHaveLength(1);
  });

  it("do not slow a long history's pages down, nor mix them up", async () => {
    const log = await open();
    const wrote = Array.from({ length: 2_500 }, (_, i) => `${i}${"x".repeat(1_000)}`);
    for (let from = 0; from < wrote.length; from += 100)
      await Promise.all(
        wrote
          .slice(from, from + 100)
          .flatMap((text) => [
            log.append(log.subjects.inboxFrom("client", "r"), text),
            log.append(log.subjects.inboxFrom("client", "other"), "y"),
          ]),
      );
    for (const fresh of [false, true]) {
      const all = await log.read(log.subjects.inboxFrom("client", "r"), { fresh });
      expect(texts(all)).toEqual(wrote);
      const rest = await log.read(log.subjects.inboxFrom("client", "r"), { fresh, fromSeq: all[2_400]!.seq });
      expect(texts(rest)).toEqual(wrote.slice(2_400));
    }
    expect(await log.remove(log.subjects.inboxFrom("client", "r"), { keep: 1 })).toBe(2_499);
    expect(texts(await log.read(log.subjects.inboxFrom("client", "r"), { fresh: true }))).toEqual([wrote.at(-1)]);
    expect(await log.read(log.subjects.inboxFrom("client", "other"))).toHaveLength(2_500);
  });
});

describe("a server that is killed and comes back on its store", () => {
  it("has all it acknowledged; consumptions and timers go on; it is known to be another process", async () => {
    const log = await open();
    const before = log.serverId;
    const { caught, interrupted } = await inboxes(log, { ackWaitMs: 1_000 });
    const due = new Caught<Delivery>();
    await log.consume({
      stream: "TIMERS",
      consumer: "due",
      filter: log.subjects.all.due(),
      ackWaitMs: 1_000,
      demand: () => 10,
      onDelivery: (delivery) => {
        delivery.ack();
        due.add(delivery);
      },
    });
    for (let i = 0; i < 100; i++) await log.append(log.subjects.inboxFrom("client", "r"), `${i}`, { id: `${i}` });
    await log.append(log.subjects.command("step", "r", 1), "c");
    await log.setTimer("r", 1, Date.now() + 1_500);
    const back = new Promise<string>((resolve) => log.onReconnect(resolve));

    await server.kill();
    await expect(log.append(log.subjects.inboxFrom("client", "r"), "lost")).rejects.toThrow(LogUnavailableError);
    await server.restart();

    expect(await back).not.toBe(before);
    expect(log.serverId).toBe(await back);
    expect(await log.read(log.subjects.inboxFrom("client", "r"), { fresh: true })).toHaveLength(100);
    expect((await log.append(log.subjects.inboxFrom("client", "r"), "0", { id: "0" })).duplicate).toBe(true);
    expect(await log.list("COMMANDS", ">")).toEqual(new Map([[log.subjects.command("step", "r", 1), 1]]));
    await log.append(log.subjects.inboxFrom("client", "r"), "after");
    await caught.until((all) => new Set(texts(all)).size === 101);
    expect(interrupted.all).toContain("reconnected");
    expect((await due.count(1))[0]!.subject).toBe(log.subjects.due("r", 1));
  });
});

describe("headers that the server would set, on a stored message", () => {
  it("are not taken for the server's", async () => {
    const log = await open();
    const inbox = log.subjects.inboxFrom("client", "r");
    const other = log.subjects.inboxFrom("client", "other");
    const { seq: precious } = await log.append(other, "precious");
    const forged = headers(404, "No Messages");
    for (const [name, value] of [
      ["Nats-Sequence", `${precious}`],
      ["Nats-Time-Stamp", "1970-01-01T00:00:00Z"],
      ["Nats-Num-Pending", "7"],
    ] as const)
      forged.set(name, value);
    const unavailable = headers(503, "no");
    const seqs: number[] = [];
    const put = async (text: string, hdrs: MsgHdrs) =>
      seqs.push((await admin.request(inbox, text, { headers: hdrs, timeout: 5_000 })).json<{ seq: number }>().seq);
    await put("first", forged);
    await put("", forged);
    await put("", unavailable);
    await put("last", forged);
    for (const fresh of [false, true]) {
      const read = await log.read(inbox, { fresh });
      // Only what the server publishes as an answer has a sequence among its headers: it is not a message of ours.
      expect(read.map(({ seq, text }) => [seq, text.includes('"Relayed"') ? "relayed" : text])).toEqual(
        ["relayed", "relayed", "", "relayed"].map((text, i) => [seqs[i], text]),
      );
      expect(read.every(({ at }) => at > Date.now() - 60_000)).toBe(true);
      expect(await log.last(inbox, { fresh })).toMatchObject({ seq: seqs[3], text: read.at(-1)!.text });
    }
    expect(await log.remove(inbox)).toBe(4);
    expect(texts(await log.read(other, { fresh: true }))).toEqual(["precious"]);
    expect(await log.read(inbox, { fresh: true })).toEqual([]);
  });
});
