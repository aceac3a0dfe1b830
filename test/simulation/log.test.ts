/**
 * The log in memory as a simulation uses it: every fault does what it says, and one seed is one story.
 */
import { LogUnavailableError } from "@stepstream/contracts";
import type { Delivery, EventLog, Stored } from "@stepstream/event-log";
import { type Faults, type MemoryLog, MemoryServer } from "@stepstream/event-log/memory";
import { Chance, VirtualClock } from "@stepstream/testing";
import { beforeEach, describe, expect, it } from "vitest";
import { type TakeOptions, takeCommands, takeDue, takeInboxes, texts } from "../conformance/bed.ts";
import { settled } from "./settled.ts";

const LATENCY_MS = 5;
const TIMEOUT_MS = 1_000;
const ACK_WAIT_MS = 400;
const HOUR_MS = 3_600_000;

type Lost = Parameters<Faults["loses"]>[0];

/** A network that is perfect but for its latency, until a test orders otherwise. */
class Ordered implements Faults {
  readonly timeoutMs = TIMEOUT_MS;
  latency = LATENCY_MS;
  stale = 0;
  late = 0;
  /** What gets lost next. */
  lost: Lost[] = [];
  effects: string[] = [];
  onNext: ((process: string, effect: string) => void) | undefined;

  latencyMs = () => this.latency;
  staleMs = () => this.stale;
  timerLateMs = () => this.late;
  loses(what: Lost) {
    if (this.lost[0] !== what) return false;
    this.lost.shift();
    return true;
  }
  onEffect(process: string, effect: string) {
    this.effects.push(`${process}: ${effect}`);
    this.onNext?.(process, effect);
  }
}

let clock: VirtualClock;
let faults: Ordered;
let server: MemoryServer;
let log: MemoryLog;
let inbox: string;
let command: string;

beforeEach(() => {
  clock = new VirtualClock(new Chance(1).next, 0);
  faults = new Ordered();
  server = new MemoryServer({ clock, faults });
  log = server.connect("p");
  inbox = log.subjects.inboxFrom("client", "r");
  command = log.subjects.command("s", "r", 1);
});

const soon = <T>(promise: Promise<T>) => settled(clock, promise, HOUR_MS);

/** Lets so much time pass. */
async function pass(ms: number): Promise<void> {
  await soon(new Promise<void>((resolve) => void clock.setTimeout(resolve, ms)));
}

async function taken(from: MemoryLog, options: TakeOptions = {}): Promise<{ came: string[]; all: Delivery[] }> {
  const came: string[] = [];
  const all: Delivery[] = [];
  await soon(
    takeInboxes(from, {
      ackWaitMs: ACK_WAIT_MS,
      on(delivery) {
        came.push(`${delivery.text}@${clock.now()}`);
        all.push(delivery);
      },
      onInterrupted: (why) => came.push(`${why}@${clock.now()}`),
      ...options,
    }),
  );
  await pass(2 * LATENCY_MS);
  return { came, all };
}

/** From the server's side, at once. */
function write(...all: string[]): void {
  for (const text of all) server.append(inbox, text);
}

describe("a request", () => {
  it("takes its way there and back", async () => {
    const sent = log.append(inbox, "x");
    await clock.run(() => false, LATENCY_MS - 1);
    expect(server.stream("EVENTS").lastSeq).toBe(0);
    await soon(sent);
    expect(clock.now()).toBe(2 * LATENCY_MS);
    expect(server.read(inbox, 1, 0)[0]!.at).toBe(LATENCY_MS);
  });

  it.each([
    ["request", 0],
    ["answer", 1],
  ] as const)("whose %s is lost is unsure after the time-out; stored: %i", async (what, stored) => {
    faults.lost = [what];
    await expect(soon(log.append(inbox, "x"))).rejects.toThrow(LogUnavailableError);
    expect(clock.now()).toBe(TIMEOUT_MS);
    expect(server.read(inbox, 1, 0)).toHaveLength(stored);
  });

  it("without a connection is refused a moment later", async () => {
    log.cut(100);
    await expect(soon(log.append(inbox, "x"))).rejects.toThrow("no connection");
    expect(clock.now()).toBe(1);
  });

  it("may be read from a replica that is behind, unless it asks for better", async () => {
    write("old");
    await pass(100);
    write("new");
    faults.stale = 50;
    expect(texts(await soon(log.read(inbox)))).toEqual(["old"]);
    expect((await soon(log.last(inbox)))!.text).toBe("old");
    expect(texts(await soon(log.read(inbox, { fresh: true })))).toEqual(["old", "new"]);
    expect((await soon(log.last(inbox, { fresh: true })))!.text).toBe("new");
    await pass(50);
    expect(texts(await soon(log.read(inbox)))).toEqual(["old", "new"]);
  });
});

describe("a message on its way", () => {
  it("overtakes no other of its consumption, whatever the latencies", async () => {
    const chance = new Chance(3);
    faults.latencyMs = () => chance.exponential(50);
    const { came } = await taken(log);
    write(...Array.from({ length: 50 }, (_, i) => `${i}`));
    await clock.run(() => came.length >= 50, HOUR_MS);
    expect(came.map((one) => Number.parseInt(one, 10))).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  it("is asked for in time, and never in excess of demand", async () => {
    faults.latency = 20;
    let held = 0;
    let most = 0;
    const taking = await soon(
      takeInboxes(log, {
        demand: () => 6 - held,
        on(delivery) {
          most = Math.max(most, ++held);
          clock.setTimeout(() => {
            held--;
            delivery.ack();
            taking.pull();
          }, 15);
        },
      }),
    );
    const t = clock.now();
    write(...Array.from({ length: 60 }, (_, i) => `${i}`));
    await soon(taking.came.count(60));
    expect(most).toBeLessThanOrEqual(6);
    // Six at a time, each of them under way for 20 + 15 + 20 ms: ten rounds, and the first pull.
    expect(clock.now() - t).toBeLessThanOrEqual(10 * 55 + 20 + 55);
  });

  it("goes to those who have asked in turn", async () => {
    const shares = [await taken(log), await taken(server.connect("q"))];
    write("1", "2", "3", "4", "5", "6");
    await pass(2 * LATENCY_MS);
    expect(shares.map(({ all }) => all.length)).toEqual([3, 3]);
  });

  it("is given back if it comes for a consumption that has stopped", async () => {
    const taking = await soon(takeInboxes(log));
    await pass(2 * LATENCY_MS);
    write("1", "2");
    await soon(taking.stop());
    expect(taking.came.all).toEqual([]);
    const { all } = await taken(server.connect("q"));
    await pass(LATENCY_MS);
    expect(all.map(({ text, deliveries }) => [text, deliveries])).toEqual([
      ["1", 2],
      ["2", 2],
    ]);
  });

  it("comes again also if the one before it has been removed", async () => {
    const { all } = await taken(log);
    server.append(log.subjects.inboxFrom("client", "gone"), "gone");
    write("x");
    await pass(LATENCY_MS);
    // Nobody asks while their time is up: both wait to be taken again.
    log.kill();
    await pass(ACK_WAIT_MS + 1);
    server.remove(log.subjects.inboxFrom("client", "gone"));
    const again = await taken(server.connect("q"));
    await pass(LATENCY_MS);
    expect([texts(all), texts(again.all)]).toEqual([["gone", "x"], ["x"]]);
  });

  it("comes again if its acknowledgement is lost", async () => {
    const { came, all } = await taken(log);
    write("x");
    await pass(LATENCY_MS);
    faults.lost = ["ack"];
    all[0]!.ack();
    await pass(ACK_WAIT_MS + LATENCY_MS);
    expect(came).toHaveLength(2);
    all[1]!.ack();
    await pass(2 * ACK_WAIT_MS);
    expect(came).toHaveLength(2);
  });

  it("is overtaken over a cut: 3 and 4 on the wire, and 5 comes before them", async () => {
    const { came } = await taken(log);
    write("3", "4");
    log.cut(50);
    const t = clock.now();
    await pass(40);
    write("5");
    await pass(ACK_WAIT_MS);
    expect(came).toEqual([
      `reconnected@${t + 50}`,
      `5@${t + 50 + 2 * LATENCY_MS}`,
      `3@${t + ACK_WAIT_MS + LATENCY_MS}`,
      `4@${t + ACK_WAIT_MS + LATENCY_MS}`,
    ]);
  });

  it("is lost if it is sent before the server notices the cut", async () => {
    faults.latency = 20;
    const { came } = await taken(log);
    await pass(20);
    log.cut(1);
    write("x");
    await pass(ACK_WAIT_MS - 50);
    expect(texts(server.read(inbox, 1, 0))).toEqual(["x"]);
    expect(came.map((one) => one.split("@")[0])).toEqual(["reconnected"]);
    await pass(200);
    expect(came.at(-1)).toMatch(/^x@/);
  });

  it("takes its acknowledgement with it where the connection is cut", async () => {
    const { all } = await taken(log);
    write("x");
    await pass(LATENCY_MS);
    all[0]!.ack();
    log.cut(1);
    await pass(ACK_WAIT_MS + 3 * LATENCY_MS);
    expect(all.map(({ deliveries }) => deliveries)).toEqual([1, 2]);
  });

  it("is lost also if the process is back before the server notices", async () => {
    const { came } = await taken(log);
    let first = true;
    faults.latencyMs = () => {
      // The first is how long the server takes to notice.
      const ms = first ? 100 : LATENCY_MS;
      first = false;
      return ms;
    };
    log.cut(1);
    await pass(2);
    // Its new pull is on its way, the old one is still there.
    write("x");
    await pass(ACK_WAIT_MS - 20);
    expect(came.map((one) => one.split("@")[0])).toEqual(["reconnected"]);
    await pass(ACK_WAIT_MS);
    expect(came.at(-1)).toMatch(/^x@/);
  });

  it("is given back only while it is surely ours", async () => {
    const { all } = await taken(log, { ackWaitMs: 30_000 });
    write("cut", "held");
    await pass(LATENCY_MS);
    log.cut(1);
    await pass(20);
    all[0]!.nak();
    await pass(1_000);
    expect(all).toHaveLength(2);
    await pass(30_000);
    expect(all.map(({ text }) => text)).toEqual(["cut", "held", "cut", "held"]);
  });

  it("is asked for again if the pull is lost, and the holder told", async () => {
    faults.lost = ["pull"];
    const { came } = await taken(log);
    write("x");
    await pass(1_300);
    expect(came.map((one) => one.split("@")[0])).toEqual(["the server was silent", "x"]);
  });

  it("to many reaches those for whom it is not lost", async () => {
    const heard: string[] = [];
    for (const name of ["a", "b", "c"])
      server.connect(name).listen("test.cancel.*", (text) => heard.push(`${name} ${text}`));
    await pass(LATENCY_MS);
    log.broadcast("test.cancel.r", "1");
    await pass(LATENCY_MS - 1);
    faults.lost = ["broadcast"];
    await pass(LATENCY_MS + 2);
    expect(heard).toEqual(["b 1", "c 1"]);
  });
});

describe("a process that is killed", () => {
  it("never hears again, of anything", async () => {
    const settled: string[] = [];
    const { came } = await taken(log);
    log.onReconnect(() => settled.push("reconnect"));
    log.listen("test.>", () => settled.push("heard"));
    const note = (what: string) => () => void settled.push(what);
    log.append(inbox, "on the wire").then(note("stored"), note("unsure"));
    log.clock.setTimeout(note("timer"), 1);
    await pass(2);
    settled.length = 0;
    log.kill();
    log.append(inbox, "too late").then(note("stored"), note("unsure"));
    log.broadcast("test.cancel.r", "x");
    log.cut(1);
    log.pause(1);
    log.clock.setTimeout(note("timer"), 1);
    server.restart({ downMs: 1 });
    await pass(HOUR_MS);
    expect([settled, came]).toEqual([[], []]);
  });

  it("has sent what it has sent", async () => {
    log.append(inbox, "on the wire");
    await pass(1);
    log.kill();
    await pass(LATENCY_MS);
    expect(texts(server.read(inbox, 1, 0))).toEqual(["on the wire"]);
  });

  it("does not do what it was about to do", async () => {
    faults.onNext = (_process, effect) => effect.startsWith("append") && log.kill();
    log.append(inbox, "x");
    await pass(100);
    expect(server.stream("EVENTS").lastSeq).toBe(0);
    expect(faults.effects).toEqual([`p: append ${inbox}`]);
  });

  it("leaves what it had to others, after ack_wait", async () => {
    await taken(log);
    write("x");
    await pass(LATENCY_MS);
    log.kill();
    const { all } = await taken(server.connect("q"));
    await pass(ACK_WAIT_MS);
    expect(all).toMatchObject([{ text: "x", deliveries: 2 }]);
  });
});

describe("a process that is paused", () => {
  it("gets everything in one go when it wakes: answers, deliveries, hints, its own timers", async () => {
    const seen: string[] = [];
    const see = (what: string) => seen.push(`${what}@${clock.now()}`);
    const { came } = await taken(log);
    log.listen("test.cancel.*", () => see("hint"));
    await pass(LATENCY_MS);
    const t = clock.now();
    log.append(log.subjects.journal("r"), "j").then(() => see("answer"));
    log.clock.setTimeout(() => see("timer"), 50);
    log.pause(100);
    write("1", "2");
    server.connect("other").broadcast("test.cancel.r", "");
    await pass(99);
    expect([...seen, ...came]).toEqual([]);
    await pass(1 + LATENCY_MS);
    const at = t + 100;
    expect(seen.toSorted()).toEqual([`answer@${at}`, `hint@${at}`, `timer@${at}`]);
    expect(came).toEqual([`1@${at}`, `2@${at}`]);
  });

  it("is a zombie: what it held has gone to another, and it does not know", async () => {
    let full = false;
    const mine = await taken(log, { demand: () => (full ? 0 : 1) });
    full = true;
    write("x");
    await pass(LATENCY_MS);
    const theirs = await taken(server.connect("other"));
    log.pause(2 * ACK_WAIT_MS);
    await pass(ACK_WAIT_MS);
    expect([mine.all, theirs.all]).toMatchObject([[{ deliveries: 1 }], [{ deliveries: 2 }]]);
    await pass(ACK_WAIT_MS + LATENCY_MS);
    mine.all[0]!.working();
    mine.all[0]!.nak();
    // Of the two the nak would take it from the other at once: it is not sent.
    expect(faults.effects.at(-1)).toBe("p: working inboxes");
  });

  it("is sent what it had asked for, until its pulls have expired; then others get it", async () => {
    const mine = await taken(log);
    const theirs = await taken(server.connect("other"));
    log.pause(10_000);
    write("1", "2");
    await pass(2_100);
    expect(new Set(texts(theirs.all)).size).toBeLessThanOrEqual(2);
    const had = theirs.all.length;
    write("3", "4", "5");
    await pass(2 * LATENCY_MS);
    expect(texts(theirs.all.slice(had).filter(({ deliveries }) => deliveries === 1))).toEqual(["3", "4", "5"]);
    for (const delivery of theirs.all) delivery.ack();
    await pass(8_000);
    write("6", "7");
    await pass(ACK_WAIT_MS / 2);
    expect(texts([...mine.all, ...theirs.all]).toSorted()).toEqual(expect.arrayContaining(["6", "7"]));
  });

  it("gets what nobody else took when it wakes", async () => {
    const { all } = await taken(log);
    log.pause(5_000);
    await pass(3_000);
    write("x");
    await pass(1_000);
    expect(server.progress("EVENTS", "inboxes").delivered).toBe(0);
    await pass(1_000 + 3 * LATENCY_MS);
    expect(all).toMatchObject([{ text: "x", deliveries: 1 }]);
  });

  it("reads an answer that came in time before it takes it for lost", async () => {
    const sent = log.append(inbox, "x");
    log.pause(10 * TIMEOUT_MS);
    expect(await soon(sent)).toEqual({ seq: 1, duplicate: false });
    expect(clock.now()).toBe(10 * TIMEOUT_MS);
  });

  it("does not fire a timer that it clears before reading it", async () => {
    const fired: string[] = [];
    const handles = [1, 2].map((n) =>
      log.clock.setTimeout(() => {
        fired.push(`${n}`);
        for (const handle of handles) log.clock.clearTimeout(handle);
      }, n),
    );
    log.pause(10);
    await pass(20);
    expect(fired).toEqual(["1"]);
  });

  it("runs its timers before or after its messages, as chance has it", async () => {
    const orders = new Set<string>();
    for (let i = 0; i < 20; i++) {
      const process = server.connect(`p${i}`);
      const order: string[] = [];
      process.last(inbox).then(() => order.push("answer"));
      process.clock.setTimeout(() => order.push("timer"), 20);
      process.pause(50);
      await pass(60);
      orders.add(order.join());
    }
    expect([...orders].toSorted()).toEqual(["answer,timer", "timer,answer"]);
  });

  it("paused again sleeps until the later end; killed meanwhile it never wakes", async () => {
    const fired: number[] = [];
    log.clock.setTimeout(() => fired.push(clock.now()), 1);
    log.pause(30.7);
    log.pause(10.2);
    await pass(40);
    expect(fired).toEqual([30]);
    log.clock.setTimeout(() => fired.push(clock.now()), 1);
    log.pause(30);
    log.kill();
    await pass(40);
    expect(fired).toHaveLength(1);
  });
});

describe("a cut", () => {
  it("fails at once who waits for an answer, and tells of the reconnection", async () => {
    const told: string[] = [];
    log.onReconnect((serverId) => told.push(`${serverId}@${clock.now()}`));
    const sent = log.append(inbox, "x");
    log.cut(50);
    await expect(soon(sent)).rejects.toThrow("the connection was lost");
    expect(clock.now()).toBe(0);
    await pass(60);
    expect(told).toEqual(["memory@50"]);
    expect(server.stream("EVENTS").lastSeq).toBe(0);
    await soon(log.append(inbox, "x"));
  });

  it("is deaf to what is said during it, though it be short", async () => {
    const heard: string[] = [];
    log.listen("test.cancel.*", (text) => heard.push(text));
    log.followJournal("r", ({ text }) => heard.push(text));
    await pass(2 * LATENCY_MS);
    log.cut(2);
    server.append(log.subjects.journal("r"), "lost");
    for (const one of server.logs) one.onBroadcast("test.cancel.r", "lost");
    await pass(3);
    server.append(log.subjects.journal("r"), "heard");
    await pass(2 * LATENCY_MS);
    expect(heard).toEqual(["heard"]);
  });

  it("ends a stop that waits for what is on its way", async () => {
    const taking = await soon(takeInboxes(log));
    const stopped = taking.stop();
    log.cut(50);
    await soon(stopped);
    expect(clock.now()).toBeLessThan(50);
  });
});

describe("a server that is restarted", () => {
  async function heard(log: EventLog): Promise<Stored[]> {
    return soon(log.read(inbox, { fresh: true }));
  }

  it("has its streams, another id, and lets nobody in before its time", async () => {
    write("1");
    const back: string[] = [];
    log.onReconnect((serverId) => back.push(`${serverId}@${clock.now()}`));
    log.cut(10);
    server.restart({ downMs: 500 });
    const late = server.connect("late");
    await expect(soon(late.append(inbox, "x"))).rejects.toThrow(LogUnavailableError);
    await pass(600);
    expect(back).toEqual(["memory-2@500"]);
    expect([log.serverId, late.serverId]).toEqual(["memory-2", "memory-2"]);
    expect(texts(await heard(late))).toEqual(["1"]);
  });

  it("fires after it the timers that came due meanwhile", async () => {
    const due = await soon(takeDue(log));
    await soon(log.setTimer("r", 1, clock.now() + 100));
    server.restart({ downMs: 500 });
    await soon(due.came.count(1));
    expect(due.came.all[0]!.at).toBeGreaterThanOrEqual(500);
  });

  it("may have forgotten what its consumers did last, but not of a work queue", async () => {
    server.append(command, "c");
    const came: string[] = [];
    const on = (delivery: Delivery) => {
      came.push(`${delivery.text} ${delivery.deliveries} ${delivery.consumerSeq}`);
      delivery.ack();
    };
    await soon(takeCommands(log, "s", { on, ackWaitMs: ACK_WAIT_MS }));
    await soon(takeInboxes(log, { on, ackWaitMs: ACK_WAIT_MS }));
    write("old");
    await pass(900);
    write("new");
    await pass(20);
    server.restart({ downMs: 10, forgetMs: 100 });
    expect(server.progress("EVENTS", "inboxes").delivered).toBe(1);
    write("after");
    await pass(2 * ACK_WAIT_MS);
    // As if for the first time, and under the same consumer sequence.
    expect(came).toEqual(["c 1 1", "old 1 1", "new 1 2", "new 1 2", "after 1 3"]);
  });

  it("may have forgotten an acknowledgement only: that message comes again", async () => {
    const { all } = await taken(log);
    write("x");
    await pass(150);
    all[0]!.ack();
    await pass(50);
    server.restart({ forgetMs: 100 });
    await pass(2 * ACK_WAIT_MS);
    expect(all.map(({ deliveries }) => deliveries)).toEqual([1, 2]);
  });

  it("may have lost its tail: what was acknowledged a moment ago has never been", async () => {
    await soon(log.append(inbox, "kept"));
    await pass(1_000);
    await soon(log.append(inbox, "lost"));
    await soon(log.setTimer("r", 1, clock.now() + 500));
    const due = await soon(takeDue(log));
    server.restart({ downMs: 10, loseTailMs: 200 });
    await pass(1_000);
    expect(texts(await heard(log))).toEqual(["kept"]);
    expect((await soon(log.append(inbox, "again", { expectLast: 1 }))).seq).toBe(2);
    expect(due.came.all).toEqual([]);
  });
});

describe("a timer", () => {
  it("fires as late as chance has it, never early", async () => {
    faults.late = 240;
    const due = await soon(takeDue(log));
    await soon(log.setTimer("r", 1, 1_000.5));
    await soon(due.came.count(1));
    expect(due.came.all[0]!.at).toBe(1_241);
  });
});

describe("one seed", () => {
  /** A few processes at the mercy of chance, and every effect of it with its time. */
  async function story(seed: number): Promise<string[]> {
    const chance = new Chance(seed);
    const clock = new VirtualClock(chance.next, 0);
    const lines: string[] = [];
    const note = (line: string) => void lines.push(`${clock.now()} ${line}`);
    const faults: Faults = {
      timeoutMs: 500,
      latencyMs: () => chance.exponential(10),
      loses: () => chance.is(0.05),
      staleMs: () => chance.pick([0, 100]),
      timerLateMs: () => chance.int(250),
      onEffect: (process, effect) => note(`${process}: ${effect}`),
    };
    const server = new MemoryServer({ clock, faults });
    const names = ["a", "b", "c"];
    const logs = new Map<string, MemoryLog>();
    const boot = (name: string) => {
      const log = server.connect(name);
      logs.set(name, log);
      const { subjects } = log;
      let held = 0;
      const on = async (delivery: Delivery) => {
        held++;
        note(`${name} got ${delivery.subject} ${delivery.text} (${delivery.deliveries}, ${delivery.consumerSeq})`);
        await new Promise((resolve) => log.clock.setTimeout(() => resolve(0), chance.int(200)));
        const run = `r${chance.int(5)}`;
        try {
          const last = await log.last(subjects.journal(run));
          await log.append(subjects.journal(run), "j", { expectLast: last?.seq ?? 0 });
          if (chance.is(0.2)) await log.setTimer(run, chance.int(9) + 1, clock.now() + chance.int(3_000));
          delivery.ack();
        } catch (error) {
          note(`${name} failed: ${(error as Error).message}`);
          delivery.nak(chance.int(100));
        }
        held--;
        log.broadcast(subjects.cancel(run), "done");
      };
      log.listen(subjects.all.cancels(), (text, subject) => note(`${name} heard ${subject} ${text}`));
      const options: TakeOptions = { ackWaitMs: 300, demand: () => 3 - held, on };
      takeInboxes(log, options).catch(() => note(`${name} did not start`));
      takeDue(log, { on }).catch(() => note(`${name} did not start`));
    };
    names.forEach(boot);
    const client = server.connect("client");
    for (let i = 0; i < 60; i++)
      clock.setTimeout(
        () => client.append(client.subjects.inboxFrom("client", `r${i % 5}`), `${i}`).catch(() => {}),
        chance.int(8_000),
      );
    for (let i = 0; i < 25; i++)
      clock.setTimeout(() => {
        const name = chance.pick(names);
        const log = logs.get(name)!;
        const what = chance.pick(["cut", "pause", "kill", "restart"]);
        note(`${name} ${what}`);
        if (what === "cut") log.cut(chance.exponential(300));
        if (what === "pause") log.pause(chance.exponential(300));
        if (what === "restart") server.restart({ downMs: chance.exponential(100), forgetMs: 50 });
        if (what === "kill") {
          log.kill();
          boot(name);
        }
      }, chance.int(8_000));
    await clock.run(() => false, 20_000);
    for (const kind of ["EVENTS", "TIMERS"] as const) note(JSON.stringify([...server.stream(kind).list(">")]));
    return lines;
  }

  it("is one story, to the letter; another seed is another", async () => {
    for (const seed of [1, 2, 3]) {
      const told = await story(seed);
      expect(told.length).toBeGreaterThan(300);
      expect(await story(seed)).toEqual(told);
    }
    expect(await story(4)).not.toEqual(await story(5));
  });
});

describe("who looks at it from outside", () => {
  it("sees whether somebody is busy with a message, or is going to be", async () => {
    expect(server.busy).toBe(false);
    const { all } = await taken(log);
    write("one");
    expect(server.busy).toBe(true);
    await pass(2 * LATENCY_MS);
    all[0]!.ack();
    expect(server.busy).toBe(true);
    await pass(2 * LATENCY_MS);
    expect(server.busy).toBe(false);
    // Nobody takes journals or commands here; a command is work all the same.
    server.append(log.subjects.journal("r"), "{}");
    expect(server.busy).toBe(false);
    server.append(command, "{}");
    expect(server.busy).toBe(true);
  });

  it("sees when the next stored timer fires, those that were cancelled or have fired left out", async () => {
    expect(server.nextTimerAt).toBeUndefined();
    server.setTimer("r", 1, 5_000);
    server.setTimer("r", 2, 3_000);
    server.setTimer("s", 1, 1_000);
    server.setTimer("r", 2, 4_000);
    expect(server.nextTimerAt).toBe(1_000);
    server.cancelTimer("s", 1);
    expect(server.nextTimerAt).toBe(4_000);
    await pass(4_000 + LATENCY_MS);
    expect(server.nextTimerAt).toBe(5_000);
    await pass(1_000 + LATENCY_MS);
    expect(server.nextTimerAt).toBeUndefined();
  });

  it("sees whether a process waits for something, and hears when it begins to", async () => {
    let began = 0;
    log.process.onWait = () => began++;
    expect(log.process.waits).toBe(0);
    const handle = log.clock.setTimeout(() => {}, 50);
    const asked = log.last(inbox);
    expect([log.process.waits, began]).toEqual([2, 2]);
    log.clock.clearTimeout(handle);
    log.clock.clearTimeout(handle);
    await soon(asked);
    expect(log.process.waits).toBe(0);
  });
});
