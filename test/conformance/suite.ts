/**
 * What the port promises (L1 to L8 of port.ts), asked of an implementation. Whatever passes may stand
 * behind Stepstream. Each test has a bed, hence a namespace, of its own.
 *
 * Tests wait for events. Where nothing may come, they wait for something that would come later.
 */
import {
  LogRefusedError,
  LogUnavailableError,
  MAX_DURATION_MS,
  MAX_SCHEDULE_MS,
  WrongLastSequenceError,
} from "@stepstream/contracts";
import type { Delivery, EventLog, Stored } from "@stepstream/event-log";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ack, type Bed, Caught, counted, takeCommands, takeDue, takeInboxes, texts } from "./bed.ts";

export type { Bed } from "./bed.ts";

const ACK_WAIT_MS = 400;

export function conformance(name: string, makeBed: () => Promise<Bed>): void {
  let bed: Bed;
  let log: EventLog;
  let inbox: string;
  let journal: string;
  let command: string;

  beforeEach(async () => {
    bed = await makeBed();
    log = await bed.connect();
    inbox = log.subjects.inboxFrom("client", "r1");
    journal = log.subjects.journal("r1");
    command = log.subjects.command("charge", "r1", 1);
  });
  afterEach(() => bed.close());

  /** Appends texts one after the other. */
  async function write(subject: string, ...all: string[]): Promise<number[]> {
    const seqs: number[] = [];
    for (const text of all) seqs.push((await log.append(subject, text)).seq);
    return seqs;
  }

  describe(`${name}: what is stored`, () => {
    it("is read in its order, with its sequence and time", async () => {
      const before = Date.now();
      const [a, b] = await write(inbox, "a", "b");
      await write(journal, "j");
      const [c] = await write(inbox, "c");
      const after = Date.now();
      const read = await log.read(inbox);
      expect(texts(read)).toEqual(["a", "b", "c"]);
      expect(read.map(({ seq }) => seq)).toEqual([a, b, c]);
      expect(b!).toBeGreaterThan(a!);
      expect(read.every((stored) => stored.subject === inbox)).toBe(true);
      const times = read.map(({ at }) => at);
      expect(times).toEqual(times.toSorted((x, y) => x - y));
      expect(times[0]!).toBeGreaterThanOrEqual(before - 1);
      expect(times[2]!).toBeLessThanOrEqual(after + 1);
    });

    it("is deleted: up to a sequence, or all but the last", async () => {
      const [, b] = await write(inbox, "a", "b", "c", "d");
      await write(journal, "j");
      expect(await log.remove(inbox, { upTo: b! })).toBe(2);
      expect(texts(await log.read(inbox, { fresh: true }))).toEqual(["c", "d"]);
      expect(await log.remove(inbox, { upTo: b! })).toBe(0);
      expect(await log.remove(inbox, { keep: 1 })).toBe(1);
      expect(texts(await log.read(inbox, { fresh: true }))).toEqual(["d"]);
      expect(await log.remove(inbox)).toBe(1);
      expect(texts(await log.read(journal, { fresh: true }))).toEqual(["j"]);
    });

    it("is read from a sequence on, fresh or not", async () => {
      const [a, b] = await write(inbox, "a", "b", "c");
      for (const fresh of [false, true]) {
        expect(texts(await log.read(inbox, { fromSeq: b!, fresh }))).toEqual(["b", "c"]);
        expect(texts(await log.read(inbox, { fromSeq: a! + 1, fresh }))).toEqual(["b", "c"]);
        expect(await log.read(inbox, { fromSeq: 1_000, fresh })).toEqual([]);
      }
    });

    it("of several subjects is read as if it were on one", async () => {
      const { subjects } = log;
      const all = subjects.inbox("r1");
      for (const fresh of [false, true]) {
        expect(await log.last(all, { fresh })).toBeUndefined();
        expect(await log.read(all, { fresh })).toEqual([]);
      }
      const order = ["client", "worker", "client", "coordinator", "worker", "worker"] as const;
      const seqs: number[] = [];
      for (const [i, sender] of order.entries()) seqs.push(...(await write(subjects.inboxFrom(sender, "r1"), `${i}`)));
      await write(subjects.inboxFrom("worker", "r2"), "another's");
      for (const fresh of [false, true]) {
        expect((await log.read(all, { fresh })).map(({ seq, subject }) => [seq, subject])).toEqual(
          order.map((sender, i) => [seqs[i], subjects.inboxFrom(sender, "r1")]),
        );
        expect(texts(await log.read(all, { fresh, fromSeq: seqs[3]! }))).toEqual(["3", "4", "5"]);
        expect(await log.read(all, { fresh, fromSeq: seqs[5]! + 1 })).toEqual([]);
        expect(await log.last(all, { fresh })).toMatchObject({ seq: seqs[5], text: "5" });
      }
      expect(await log.remove(all, { upTo: seqs[2]! })).toBe(3);
      expect(texts(await log.read(all, { fresh: true }))).toEqual(["3", "4", "5"]);
      expect(await log.remove(all)).toBe(3);
      expect(await log.last(all, { fresh: true })).toBeUndefined();
      expect(texts(await log.read(subjects.inbox("r2")))).toEqual(["another's"]);
    });

    it("of several subjects lacks none that is older than its last, however many are written meanwhile", async () => {
      const { subjects } = log;
      const last = subjects.inboxFrom("worker", "r1");
      let isOver = false;
      /** One after the other: what lacks one has a hole. */
      const writing = (async () => {
        for (let i = 0; i < 600; i++)
          await write(subjects.inboxFrom((["client", "worker", "coordinator"] as const)[i % 3]!, "r1"), `${i}`);
        isOver = true;
      })();
      let looks = 0;
      while (!isOver) {
        for (const fresh of [false, true]) {
          const read = await log.read(subjects.inbox("r1"), { fresh });
          expect(texts(read)).toEqual(read.map((_, i) => `${i}`));
          looks++;
        }
      }
      await writing;
      expect(looks).toBeGreaterThan(20);
      expect(await log.read(subjects.inbox("r1"), { fresh: true })).toHaveLength(600);
      expect((await log.read(last)).length).toBe(200);
    });

    it("has a last message, if any", async () => {
      for (const fresh of [false, true]) {
        expect(await log.last(inbox, { fresh })).toBeUndefined();
        expect(await log.read(inbox, { fresh })).toEqual([]);
      }
      const [, b] = await write(inbox, "a", "b");
      for (const fresh of [false, true])
        expect(await log.last(inbox, { fresh })).toMatchObject({ subject: inbox, seq: b, text: "b" });
    });

    it("has last messages of many subjects, of those that have any", async () => {
      const subjects = Array.from({ length: 600 }, (_, i) => log.subjects.inboxFrom("client", `many-${i}`));
      const written = subjects.filter((_, i) => i % 3 !== 0);
      await Promise.all(written.map((subject, i) => log.append(subject, `first ${i}`)));
      await Promise.all(written.map((subject, i) => log.append(subject, `last ${i}`)));
      const lasts = await log.lasts(subjects);
      expect(lasts.size).toBe(400);
      for (const [i, subject] of written.entries())
        expect(lasts.get(subject)).toEqual(await log.last(subject, { fresh: i % 50 === 0 }));
      expect(await log.lasts([])).toEqual(new Map());
    });

    it("is seen by other processes, and keeps any text as it was", async () => {
      const other = await bed.connect();
      const odd = ["", " ", '{"a":"ä€😀"}', "line\r\nline\0", "x".repeat(70_000)];
      await write(inbox, ...odd);
      expect(texts(await other.read(inbox, { fresh: true }))).toEqual(odd);
    });

    it("keeps the order in which one process sent it", async () => {
      const sent = Array.from({ length: 200 }, (_, i) => `${i}`);
      const seqs = (await Promise.all(sent.map((text) => log.append(inbox, text)))).map(({ seq }) => seq);
      expect(new Set(seqs).size).toBe(200);
      const read = await log.read(inbox, { fresh: true });
      expect(read.map(({ seq, text }) => `${seq} ${text}`).toSorted()).toEqual(
        sent.map((text, i) => `${seqs[i]} ${text}`).toSorted(),
      );
    });
  });

  describe(`${name}: a fence (L2)`, () => {
    it("of 0 lets the first message through, and no other", async () => {
      const { seq } = await log.append(inbox, "first", { expectLast: 0 });
      const second = log.append(inbox, "second", { expectLast: 0 });
      await expect(second).rejects.toThrow(WrongLastSequenceError);
      expect(await log.last(inbox, { fresh: true })).toMatchObject({ seq, text: "first" });
    });

    it("holds the subject's last sequence, whatever else the stream takes", async () => {
      const { seq } = await log.append(journal, "1", { expectLast: 0 });
      await write(inbox, "noise");
      const second = await log.append(journal, "2", { expectLast: seq });
      await expect(log.append(journal, "3", { expectLast: seq })).rejects.toThrow(WrongLastSequenceError);
      await expect(log.append(journal, "3", { expectLast: second.seq + 1 })).rejects.toThrow(WrongLastSequenceError);
      expect(texts(await log.read(journal, { fresh: true }))).toEqual(["1", "2"]);
    });

    it("has one winner among rivals", async () => {
      const rivals = await Promise.all([bed.connect(), bed.connect(), bed.connect()]);
      const tries = Array.from({ length: 30 }, (_, i) => rivals[i % 3]!.append(journal, `${i}`, { expectLast: 0 }));
      const outcomes = await Promise.allSettled(tries);
      expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      expect(outcomes.every((one) => one.status === "fulfilled" || one.reason instanceof WrongLastSequenceError)).toBe(
        true,
      );
      expect(await log.read(journal, { fresh: true })).toHaveLength(1);
    });
  });

  describe(`${name}: an id (L1)`, () => {
    it("is stored once, and its repeats are told the first one's sequence", async () => {
      const { seq } = await log.append(inbox, "a", { id: "x" });
      await write(inbox, "b");
      expect(await log.append(inbox, "a", { id: "x" })).toEqual({ seq, duplicate: true });
      const other = await bed.connect();
      expect(await other.append(inbox, "a", { id: "x" })).toEqual({ seq, duplicate: true });
      expect((await log.append(inbox, "a", { id: "y" })).duplicate).toBe(false);
      expect(texts(await log.read(inbox, { fresh: true }))).toEqual(["a", "b", "a"]);
    });

    it("is looked at after the fence", async () => {
      const { seq } = await log.append(inbox, "a", { id: "x", expectLast: 0 });
      await expect(log.append(inbox, "a", { id: "x", expectLast: 0 })).rejects.toThrow(WrongLastSequenceError);
      expect(await log.append(inbox, "a", { id: "x", expectLast: seq })).toEqual({ seq, duplicate: true });
    });

    it("that another message has had holds nothing back: neither on another subject nor with another text (L8)", async () => {
      const { seq } = await log.append(inbox, "foreign", { id: "x" });
      const other = log.subjects.inboxFrom("client", "r2");
      expect(await log.append(other, "a", { id: "x" })).toMatchObject({ duplicate: false });
      expect(await log.append(inbox, "b", { id: "x" })).toMatchObject({ duplicate: false });
      expect(await log.append(inbox, "foreign", { id: "x" })).toEqual({ seq, duplicate: true });
      expect(texts(await log.read(inbox, { fresh: true }))).toEqual(["foreign", "b"]);
      expect(texts(await log.read(other, { fresh: true }))).toEqual(["a"]);
      await expect(log.append(other, "c", { id: "x", expectLast: 0 })).rejects.toThrow(WrongLastSequenceError);
    });

    it("of a message that is gone holds nothing back either; of a command it says so", async () => {
      await log.append(inbox, "a", { id: "x" });
      await log.remove(inbox);
      expect(await log.append(inbox, "a", { id: "x" })).toMatchObject({ duplicate: false });
      const { seq } = await log.append(command, "1", { id: "y", expectLast: 0 });
      await log.remove(command);
      expect(await log.append(command, "1", { id: "y", expectLast: 0 })).toEqual({ seq, duplicate: true, gone: true });
    });

    it("may hold any characters", async () => {
      await log.append(inbox, "a", { id: "r1/ä:1\r\nX: y" });
      expect((await log.append(inbox, "a", { id: "r1/ä:1\r\nX: y" })).duplicate).toBe(true);
    });
  });

  describe(`${name}: a command`, () => {
    it("is alone on its subject while it is outstanding", async () => {
      const { seq } = await log.append(command, "1", { expectLast: 0, id: "r1.1.1" });
      await expect(log.append(command, "2", { expectLast: 0 })).rejects.toThrow(WrongLastSequenceError);
      await expect(log.append(command, "2")).rejects.toThrow(LogRefusedError);
      await expect(log.append(command, "2", { expectLast: seq })).rejects.toThrow(LogRefusedError);
      expect(await log.append(command, "1", { id: "r1.1.1" })).toEqual({ seq, duplicate: true });
      expect(texts(await log.read(command, { fresh: true }))).toEqual(["1"]);
    });

    it("is gone once it is acknowledged; its fence then holds again, its id does not", async () => {
      await log.append(command, "1", { expectLast: 0, id: "r1.1.1" });
      const { came } = await takeCommands(log, "charge", { on: ack });
      await came.count(1);
      await expect.poll(() => log.list("COMMANDS", ">")).toEqual(new Map());
      expect(await log.last(command, { fresh: true })).toBeUndefined();
      expect((await log.append(command, "1", { expectLast: 0, id: "r1.1.1" })).duplicate).toBe(true);
      expect(await log.last(command, { fresh: true })).toBeUndefined();
      expect((await log.append(command, "2", { expectLast: 0, id: "r1.1.2" })).duplicate).toBe(false);
      expect((await came.nth(2)).text).toBe("2");
    });

    it("comes to the consumer of its step, and to no other", async () => {
      const [charge, print] = [await takeCommands(log, "charge"), await takeCommands(log, "print")];
      await write(log.subjects.command("print", "r1", 2), "print");
      await write(command, "charge");
      expect((await charge.came.nth(1)).subject).toBe(command);
      expect((await print.came.nth(1)).text).toBe("print");
      expect([charge.came.all, print.came.all].map((all) => all.length)).toEqual([1, 1]);
    });

    it("never comes again once it is removed, whoever has it", async () => {
      await write(command, "1");
      const { came } = await takeCommands(log, "charge", { ackWaitMs: ACK_WAIT_MS });
      await came.count(1);
      expect(await log.remove(command)).toBe(1);
      await write(log.subjects.command("charge", "r1", 2), "2");
      // The second one is delivered again: by then the first would have been.
      await came.until((all) => all.filter(({ text }) => text === "2").length === 2);
      expect(counted(came.all).get("1")).toBe(1);
    });
  });

  describe(`${name}: a consumer (L3)`, () => {
    it("delivers what there was and what comes, in order, once each if all goes well", async () => {
      const before = await write(inbox, "1", "2", "3");
      const { came } = await takeInboxes(log, { on: ack });
      await came.count(3);
      await write(journal, "no inbox");
      const after = await write(inbox, "4", "5");
      const all = await came.count(5);
      expect(all.map(({ seq }) => seq)).toEqual([...before, ...after]);
      expect(all.map(({ consumerSeq }) => consumerSeq)).toEqual([1, 2, 3, 4, 5]);
      expect(all.every(({ deliveries, subject }) => deliveries === 1 && subject === inbox)).toBe(true);
      const stored = await log.read(inbox, { fresh: true });
      expect(all.map(({ at }) => at)).toEqual(stored.map(({ at }) => at));
    });

    it("delivers again what stays without an answer, and counts", async () => {
      await write(inbox, "1");
      const { came } = await takeInboxes(log, { ackWaitMs: ACK_WAIT_MS });
      const startedAt = Date.now();
      const [first, second, third] = await came.count(3);
      expect(Date.now() - startedAt).toBeGreaterThan(1.5 * ACK_WAIT_MS);
      expect([first, second, third].map((one) => one!.deliveries)).toEqual([1, 2, 3]);
      expect(new Set([first, second, third].map((one) => one!.seq)).size).toBe(1);
      expect(second!.consumerSeq).toBeGreaterThan(first!.consumerSeq);
      third!.ack();
      const [seq] = await write(inbox, "2");
      await came.until((all) => all.some((one) => one.seq === seq));
    });

    it("lets new messages overtake those that come again", async () => {
      await write(inbox, "1", "2");
      const { came } = await takeInboxes(log, { ackWaitMs: ACK_WAIT_MS });
      await came.count(2);
      await write(inbox, "3");
      const all = await came.count(5);
      expect(texts(all.slice(0, 3))).toEqual(["1", "2", "3"]);
      expect(all.slice(3).every(({ deliveries }) => deliveries === 2)).toBe(true);
    });

    it("waits longer for who is still at it", async () => {
      await write(inbox, "kept", "forgotten");
      const { came } = await takeInboxes(log, { ackWaitMs: ACK_WAIT_MS });
      const [kept] = await came.count(2);
      const beat = setInterval(() => kept!.working(), 50);
      const forgotten = (all: readonly Delivery[]) => all.filter(({ text }) => text === "forgotten");
      await came.until((all) => forgotten(all).length === 3);
      clearInterval(beat);
      expect(counted(came.all).get("kept")).toBe(1);
      await came.until((all) => all.some(({ text, deliveries }) => text === "kept" && deliveries === 2));
    });

    it("leaves a message to who keeps it alive, where others take from it with different ack waits (L9)", async () => {
      await write(command, "1");
      const other = await bed.connect();
      const holder = await takeCommands(log, "charge", { ackWaitMs: 5 * ACK_WAIT_MS });
      const held = await holder.came.nth(1);
      const kept = (async () => {
        for (const until = Date.now() + 6 * ACK_WAIT_MS; Date.now() < until; held.working())
          await new Promise((resolve) => setTimeout(resolve, holder.ackWaitMs / 3));
      })();
      const eager = await takeCommands(other, "charge", { ackWaitMs: ACK_WAIT_MS / 4 });
      const patient = await takeCommands(other, "charge", { ackWaitMs: 20 * ACK_WAIT_MS });
      await kept;
      expect([...holder.came.all, ...eager.came.all, ...patient.came.all]).toHaveLength(1);
      held.ack();
      await expect.poll(() => log.list("COMMANDS", ">")).toEqual(new Map());
    });

    it("has the ack wait that the last one asked for, once nothing is in flight (L9)", async () => {
      const first = await takeCommands(log, "charge", { ackWaitMs: ACK_WAIT_MS });
      const second = await takeCommands(await bed.connect(), "charge", { ackWaitMs: 10 * ACK_WAIT_MS });
      expect(second.ackWaitMs).toBe(10 * ACK_WAIT_MS);
      await first.stop();
      await write(command, "1");
      const held = await second.came.nth(1);
      const third = await takeCommands(log, "charge", { ackWaitMs: 20 * ACK_WAIT_MS });
      expect(third.ackWaitMs).toBe(10 * ACK_WAIT_MS);
      held.ack();
    });

    it("delivers at once what is given back", async () => {
      await write(inbox, "1");
      const { came } = await takeInboxes(log);
      (await came.nth(1)).nak();
      expect(await came.nth(2)).toMatchObject({ text: "1", deliveries: 2 });
    });

    it("delivers later what is given back for later, and others meanwhile", async () => {
      await write(inbox, "1");
      const { came } = await takeInboxes(log);
      const first = await came.nth(1);
      const givenAt = Date.now();
      first.nak(300);
      await write(inbox, "2");
      expect((await came.nth(2)).text).toBe("2");
      expect(await came.nth(3)).toMatchObject({ text: "1", deliveries: 2 });
      expect(Date.now() - givenAt).toBeGreaterThanOrEqual(299);
    });

    it("takes the acknowledgement of an earlier delivery, too", async () => {
      await write(command, "1");
      const { came } = await takeCommands(log, "charge", { ackWaitMs: ACK_WAIT_MS });
      const [late] = await came.count(2);
      late!.ack();
      await expect.poll(() => log.list("COMMANDS", ">")).toEqual(new Map());
    });

    it("takes one word for each delivery: what is acknowledged cannot be given back", async () => {
      await write(inbox, "1");
      const { came } = await takeInboxes(log, {
        ackWaitMs: ACK_WAIT_MS,
        on(delivery) {
          if (delivery.text !== "1") return;
          delivery.ack();
          delivery.nak();
        },
      });
      await came.count(1);
      await write(inbox, "2");
      await came.until((all) => all.filter(({ text }) => text === "2").length === 2);
      expect(counted(came.all).get("1")).toBe(1);
    });

    it("takes one word for each delivery: what is given back cannot be acknowledged", async () => {
      await write(command, "1");
      const { came } = await takeCommands(log, "charge");
      const first = await came.nth(1);
      first.nak(100);
      first.ack();
      first.working();
      expect((await came.nth(2)).deliveries).toBe(2);
      expect(await log.list("COMMANDS", ">")).toEqual(new Map([[command, 1]]));
    });

    it("remembers, whoever comes after, how far it is", async () => {
      const seqs = await write(inbox, "1", "2");
      expect(await log.progress("EVENTS", "inboxes")).toEqual({ delivered: 0, ackFloor: 0 });
      const first = await takeInboxes(log, { on: ack });
      await first.came.count(2);
      await expect.poll(async () => (await log.progress("EVENTS", "inboxes")).delivered).toBe(seqs[1]);
      await first.stop();
      await write(inbox, "3");
      const second = await takeInboxes(await bed.connect(), { on: ack });
      expect((await second.came.nth(1)).text).toBe("3");
    });
  });

  describe(`${name}: demand`, () => {
    it("is never exceeded", async () => {
      await Promise.all(Array.from({ length: 200 }, (_, i) => log.append(inbox, `${i}`)));
      let held = 0;
      let most = 0;
      const taking = await takeInboxes(log, {
        demand: () => 7 - held,
        on(delivery) {
          most = Math.max(most, ++held);
          setImmediate(() => {
            held--;
            delivery.ack();
            taking.pull();
          });
        },
      });
      await taking.came.count(200);
      expect(most).toBeLessThanOrEqual(7);
      expect(new Set(texts(taking.came.all)).size).toBe(200);
    });

    it("of none brings nothing until it grows", async () => {
      let wanted = 0;
      const taking = await takeInboxes(log, { demand: () => wanted - taking?.came.all.length });
      const other = await takeCommands(log, "charge", { on: ack });
      await write(inbox, "1", "2", "3");
      await write(command, "x");
      await other.came.count(1);
      expect(taking.came.all).toEqual([]);
      wanted = 1;
      taking.pull();
      await taking.came.count(1);
      wanted = 3;
      taking.pull();
      expect(texts(await taking.came.count(3))).toEqual(["1", "2", "3"]);
    });

    it("leaves to others what it does not ask for", async () => {
      await write(inbox, "1", "2", "3");
      let full = false;
      const greedy = await takeInboxes(log, { demand: () => (full ? 0 : 1), on: () => (full = true) });
      await greedy.came.count(1);
      const { came } = await takeInboxes(await bed.connect(), { on: ack });
      expect(texts(await came.count(2))).toEqual(["2", "3"]);
      expect(greedy.came.all).toHaveLength(1);
    });
  });

  describe(`${name}: processes on one durable`, () => {
    it("share the work", async () => {
      const [one, two] = [await bed.connect(), await bed.connect()];
      const came = new Caught<string>();
      const shares = [0, 0];
      for (const [i, process] of [one, two].entries()) {
        let held = 0;
        const taking = await takeInboxes(process, {
          demand: () => 2 - held,
          on(delivery) {
            held++;
            shares[i]!++;
            setTimeout(() => {
              held--;
              delivery.ack();
              came.add(delivery.text);
              taking.pull();
            }, 2);
          },
        });
      }
      await Promise.all(Array.from({ length: 100 }, (_, i) => log.append(inbox, `${i}`)));
      expect(new Set(await came.count(100)).size).toBe(100);
      expect(Math.min(...shares)).toBeGreaterThan(0);
    });

    it("inherit what a process had that is gone", async () => {
      await write(inbox, "1", "2");
      const gone = await bed.connect();
      const first = await takeInboxes(gone, { ackWaitMs: ACK_WAIT_MS });
      const [one] = await first.came.count(2);
      one!.ack();
      await gone.close();
      const second = await takeInboxes(log, { ackWaitMs: ACK_WAIT_MS, on: ack });
      expect(await second.came.nth(1)).toMatchObject({ text: "2", deliveries: 2 });
      await write(inbox, "3");
      expect(texts(await second.came.count(2))).toEqual(["2", "3"]);
    });

    it("get nothing more after a stop, and may still acknowledge what they have", async () => {
      await write(inbox, "1");
      const stopped = await takeInboxes(log, { ackWaitMs: ACK_WAIT_MS });
      const mine = await stopped.came.nth(1);
      await stopped.stop();
      const other = await takeInboxes(await bed.connect(), { ackWaitMs: ACK_WAIT_MS });
      mine.ack();
      await write(inbox, "2", "3");
      await other.came.until((all) => all.filter(({ text }) => text === "3").length === 2);
      expect(texts(stopped.came.all)).toEqual(["1"]);
      expect(counted(other.came.all).get("1")).toBeUndefined();
    });

    it("lose nothing by a stop in the middle of it", async () => {
      const came = new Caught<Delivery>();
      const on = (delivery: Delivery) => {
        delivery.ack();
        came.add(delivery);
      };
      const [first, second] = [await takeInboxes(log, { on }), await takeInboxes(await bed.connect(), { on })];
      const wrote = Array.from({ length: 300 }, (_, i) => log.append(inbox, `${i}`));
      await came.count(50);
      await first.stop();
      const had = first.came.all.length;
      await Promise.all(wrote);
      // ack_wait is 30 s: whatever was on its way to the first is given back.
      await came.until((all) => new Set(texts(all)).size === 300);
      expect(first.came.all).toHaveLength(had);
      expect(second.came.all.length).toBeGreaterThan(0);
    });
  });

  describe(`${name}: timers (L5)`, () => {
    it("fire on the due subject of run and slot, not before their time", async () => {
      const { came } = await takeDue(log);
      const at = new Map([1, 2, 3, 4].map((slot) => [slot, Date.now() + 150.5 * slot]));
      await Promise.all([...at].map(([slot, ms]) => log.setTimer("r1", slot, ms)));
      for (const due of await came.count(4)) {
        const { run, slot } = log.subjects.parse(due.subject)!;
        expect([run, due.subject]).toEqual(["r1", log.subjects.due("r1", slot!)]);
        expect(due.at).toBeGreaterThanOrEqual(Math.floor(at.get(slot!)!));
      }
      await expect.poll(() => log.list("TIMERS", ">")).toEqual(new Map());
    });

    it("of the past fire at once", async () => {
      const { came } = await takeDue(log);
      await log.setTimer("r1", 1, Date.now() - 60_000);
      await log.setTimer("r1", 2, 0);
      expect((await came.count(2)).map(({ subject }) => subject).toSorted()).toEqual([
        log.subjects.due("r1", 1),
        log.subjects.due("r1", 2),
      ]);
    });

    it("of centuries to come do not fire now", async () => {
      const { came } = await takeDue(log);
      const far = [Date.now() + MAX_DURATION_MS, Date.UTC(2262, 3, 12), Date.UTC(2500, 0, 1), 8.64e15];
      for (const [i, at] of far.entries()) await log.setTimer("r1", i + 1, at);
      // The server's ticks are 250 ms apart: the last of these comes after several.
      for (const slot of [11, 12, 13, 14]) {
        await log.setTimer("r1", slot, Date.now() + 300);
        await came.count(slot - 10);
      }
      expect(came.all.map(({ subject }) => log.subjects.parse(subject)!.slot)).toEqual([11, 12, 13, 14]);
      await expect.poll(async () => (await log.list("TIMERS", ">")).size).toBe(far.length);
    });

    it("set again fire at their new time, sooner or later than the old one, once", async () => {
      const { came } = await takeDue(log);
      const now = Date.now();
      await log.setTimer("r1", 1, now + 86_400_000);
      await log.setTimer("r1", 1, now + 200);
      await log.setTimer("r1", 2, now + 200);
      await log.setTimer("r1", 2, now + 600);
      const [first, second] = await came.count(2);
      expect([first, second].map((one) => one!.subject)).toEqual([
        log.subjects.due("r1", 1),
        log.subjects.due("r1", 2),
      ]);
      expect(second!.at).toBeGreaterThanOrEqual(now + 600);
    });

    it("do not fire once they are cancelled, and cancelling none is no error", async () => {
      const { came } = await takeDue(log);
      const now = Date.now();
      await log.setTimer("r1", 1, now + 300);
      await log.cancelTimer("r1", 1);
      await log.cancelTimer("r1", 9);
      await log.setTimer("r1", 2, now + 700);
      expect((await came.nth(1)).subject).toBe(log.subjects.due("r1", 2));
    });

    it("say when they fire, in whole milliseconds, until they have fired or are cancelled", async () => {
      const { came } = await takeDue(log);
      const at = Date.now() + 60_000;
      expect(await log.timerAt("r1", 1)).toBeUndefined();
      await log.setTimer("r1", 1, at + 0.25);
      expect(await log.timerAt("r1", 1)).toBe(at + 1);
      await log.setTimer("r1", 1, at + 5_000);
      expect(await log.timerAt("r1", 1)).toBe(at + 5_000);
      await log.cancelTimer("r1", 1);
      expect(await log.timerAt("r1", 1)).toBeUndefined();
      await log.setTimer("r1", 2, Date.now());
      await came.nth(1);
      expect(await log.timerAt("r1", 2)).toBeUndefined();
      await log.setTimer("r1", 3, Date.UTC(2500, 0, 1));
      expect(await log.timerAt("r1", 3)).toBe(MAX_SCHEDULE_MS);
    });

    it("far away wait for their time", async () => {
      const { came } = await takeDue(log);
      await log.setTimer("r1", 1, Date.now() + 400 * 86_400_000);
      await log.setTimer("r1", 2, Date.now() + 100);
      expect((await came.nth(1)).subject).toBe(log.subjects.due("r1", 2));
      expect(await log.list("TIMERS", log.subjects.timer("r1", 1))).toEqual(
        new Map([[log.subjects.timer("r1", 1), 1]]),
      );
    });

    it("wait for their consumer, and come again if it does not answer", async () => {
      await log.setTimer("r1", 1, Date.now());
      await expect.poll(() => log.list("TIMERS", log.subjects.all.due())).toHaveLength(1);
      const { came } = await takeDue(log, { ackWaitMs: ACK_WAIT_MS, on: () => {} });
      expect((await came.nth(1)).deliveries).toBe(1);
      expect((await came.nth(2)).deliveries).toBe(2);
    });
  });

  describe(`${name}: a removal`, () => {
    it("deletes a subject's messages and says how many", async () => {
      await write(inbox, "1", "2", "3");
      await write(journal, "j");
      expect(await log.remove(inbox)).toBe(3);
      expect(await log.read(inbox, { fresh: true })).toEqual([]);
      expect(texts(await log.read(journal))).toEqual(["j"]);
      expect(await log.remove(inbox)).toBe(0);
      expect((await log.append(inbox, "4", { expectLast: 0 })).duplicate).toBe(false);
    });

    it("keeps the last ones if asked to, and with them the fence", async () => {
      const seqs = await write(inbox, "1", "2", "3");
      expect(await log.remove(inbox, { keep: 1 })).toBe(2);
      expect(texts(await log.read(inbox, { fresh: true }))).toEqual(["3"]);
      expect(await log.remove(inbox, { keep: 5 })).toBe(0);
      await expect(log.append(inbox, "4", { expectLast: 0 })).rejects.toThrow(WrongLastSequenceError);
      await log.append(inbox, "4", { expectLast: seqs[2]! });
    });
  });

  describe(`${name}: a removal beside messages that are given back for later`, () => {
    const LATER_MS = 500;

    it("of a command: all others come again, and stay above the ack floor", async () => {
      const all = ["r1", "r2", "r3", "gone", "next"].map((run) => log.subjects.command("charge", run, 1));
      for (const subject of all) await write(subject, subject);
      const { came } = await takeCommands(log, "charge");
      const first = (await came.count(5)).slice();
      for (const delivery of first.slice(0, 3)) delivery.nak(LATER_MS);
      await log.last(all[0]!, { fresh: true }); // A round trip: the server has them.
      expect(await log.remove(all[3]!)).toBe(1);
      first[4]!.ack();
      const again = (await came.count(8)).slice(5);
      expect(again.map(({ seq }) => seq).toSorted()).toEqual(first.slice(0, 3).map(({ seq }) => seq));
      expect((await log.progress("COMMANDS", log.subjects.stepConsumer("charge"))).ackFloor).toBe(0);
      for (const delivery of again) delivery.ack();
      await expect
        .poll(() => log.progress("COMMANDS", log.subjects.stepConsumer("charge")))
        .toEqual({ delivered: 5, ackFloor: 5 });
    });

    it("of an inbox, a journal, a parked record and attempts: the same", async () => {
      const { subjects } = log;
      const runs = ["r1", "r2", "gone", "next"];
      for (const run of runs) await write(subjects.inboxFrom("client", run), run);
      await write(subjects.inboxFrom("client", "gone"), "more");
      const { came } = await takeInboxes(log);
      const first = (await came.count(5)).slice();
      for (const delivery of first.slice(0, 2)) delivery.nak(LATER_MS);
      for (const subject of [subjects.journal("gone"), subjects.parked("gone"), subjects.attempts("gone", 1)]) {
        await write(subject, "a", "b", "c");
        expect(await log.remove(subject)).toBe(3);
      }
      expect(await log.remove(subjects.inboxFrom("client", "gone"))).toBe(2);
      first[3]!.ack();
      const again = (await came.count(7)).slice(5);
      expect(again.map(({ seq }) => seq).toSorted()).toEqual(first.slice(0, 2).map(({ seq }) => seq));
      expect((await log.progress("EVENTS", "inboxes")).ackFloor).toBe(0);
    });

    it("of a timer: the timers that have come due come again", async () => {
      for (const slot of [1, 2]) await log.setTimer("r1", slot, Date.now());
      const { came } = await takeDue(log, { on: (delivery) => delivery.deliveries === 1 && delivery.nak(LATER_MS) });
      await came.count(2);
      for (const slot of [3, 4]) await log.setTimer("r1", slot, Date.now() + 60_000);
      for (const slot of [3, 4]) await log.cancelTimer("r1", slot);
      expect(await log.list("TIMERS", log.subjects.all.timersOfRun("r1"))).toEqual(new Map());
      expect(new Set(texts((await came.count(4)).slice(2))).size).toBe(1);
      expect(came.all.slice(2).map(({ deliveries }) => deliveries)).toEqual([2, 2]);
    });

    it("removes what was stored before, and takes what is gone as removed", async () => {
      const other = await bed.connect();
      const seqs = await write(inbox, ...Array.from({ length: 150 }, (_, i) => `${i}`));
      const [mine, theirs, late] = await Promise.all([log.remove(inbox), other.remove(inbox), write(inbox, "late")]);
      expect(mine + theirs).toBeGreaterThanOrEqual(seqs.length);
      expect(await log.remove(inbox, { upTo: seqs.at(-1)! })).toBe(0);
      const left = texts(await log.read(inbox, { fresh: true }));
      // It may have been stored before the others looked.
      expect([[], ["late"]]).toContainEqual(left);
      expect(late).toHaveLength(1);
    });
  });

  describe(`${name}: the oldest message`, () => {
    it("of subjects that match is found from a sequence on", async () => {
      const { subjects } = log;
      const filter = subjects.all.commandsOfStep("charge");
      expect(await log.oldest("COMMANDS", filter)).toBeUndefined();
      await write(subjects.command("print", "r1", 1), "another step");
      const [a] = await write(subjects.command("charge", "r1", 2), "a");
      const [b] = await write(subjects.command("charge", "r2", 1), "b");
      expect(await log.oldest("COMMANDS", filter)).toMatchObject({
        subject: subjects.command("charge", "r1", 2),
        seq: a,
      });
      expect(await log.oldest("COMMANDS", filter, a! + 1)).toMatchObject({ seq: b });
      expect(await log.oldest("COMMANDS", filter, b! + 1)).toBeUndefined();
    });
  });

  describe(`${name}: a scan`, () => {
    it("has the messages of subjects that match in the order of the stream, page by page, also large ones", async () => {
      const { subjects } = log;
      const filter = subjects.all.journals();
      expect(await log.scan("EVENTS", filter, 1, 10)).toEqual([]);
      const large = "x".repeat(400_000);
      await write(subjects.inboxFrom("client", "r1"), "not this");
      const [a] = await write(subjects.journal("r1"), "a");
      const [b] = await write(subjects.journal("r2"), large);
      const [c] = await write(subjects.journal("r1"), "c");
      const first = await log.scan("EVENTS", filter, 1, 2);
      expect(first).toMatchObject([
        { subject: subjects.journal("r1"), seq: a, text: "a" },
        { subject: subjects.journal("r2"), seq: b, text: large },
      ]);
      expect(Math.abs(first[0]!.at - Date.now())).toBeLessThan(60_000);
      expect(await log.scan("EVENTS", filter, b! + 1, 1_000)).toMatchObject([{ seq: c, text: "c" }]);
      expect(await log.scan("EVENTS", filter, c! + 1, 1_000)).toEqual([]);
      expect(texts(await log.scan("EVENTS", subjects.journal("r1"), 1, 1))).toEqual(["a"]);
    });
  });

  describe(`${name}: a count`, () => {
    it("has the number of messages whose subject matches, from a sequence on", async () => {
      const { subjects } = log;
      const filter = subjects.all.commandsOfPartition(subjects.partition("r1"));
      expect(await log.count("COMMANDS", filter)).toBe(0);
      await write(subjects.command("print", "r1", 1), "1");
      const [second] = await write(subjects.command("print", "r1", 2), "2");
      await write(subjects.command("mail", "r1", 3), "3");
      const elsewhere = ["r2", "r3", "r4", "r5"].find((run) => subjects.partition(run) !== subjects.partition("r1"))!;
      await write(subjects.command("mail", elsewhere, 1), "of another partition");
      expect(await log.count("COMMANDS", filter)).toBe(3);
      expect(await log.count("COMMANDS", filter, second!)).toBe(2);
      expect(await log.count("COMMANDS", filter, second! + 100)).toBe(0);
      await log.remove(subjects.command("print", "r1", 1));
      expect(await log.count("COMMANDS", filter)).toBe(2);
      await log.setTimer("r1", 1, Date.now() + 60_000);
      expect(await log.count("TIMERS", subjects.all.timersOfPartition(subjects.partition("r1")))).toBe(1);
    });
  });

  describe(`${name}: a listing`, () => {
    it("counts the messages of the subjects that match", async () => {
      const { subjects } = log;
      await write(inbox, "1", "2");
      await write(subjects.inboxFrom("client", "r2"), "1");
      await write(journal, "1");
      expect(await log.list("EVENTS", inbox)).toEqual(new Map([[inbox, 2]]));
      expect(await log.list("EVENTS", `${subjects.namespace}.inbox.>`)).toEqual(
        new Map([
          [inbox, 2],
          [subjects.inboxFrom("client", "r2"), 1],
        ]),
      );
      expect([...(await log.list("EVENTS", `${subjects.namespace}.*.*.r1`)).keys()]).toEqual([journal]);
      expect([...(await log.list("EVENTS", `${subjects.namespace}.*.*.r1.>`)).keys()]).toEqual([inbox]);
      expect(await log.list("EVENTS", `${subjects.namespace}.parked.>`)).toEqual(new Map());
      expect(await log.list("DEAD", ">")).toEqual(new Map());
    });

    it("tells what consumers have not done with", async () => {
      const { subjects } = log;
      expect(await log.backlog("EVENTS")).toEqual(new Map());
      let wanted = 2;
      const got: Delivery[] = [];
      const consumption = await log.consume({
        stream: "EVENTS",
        consumer: "some",
        filter: `${subjects.namespace}.inbox.>`,
        ackWaitMs: 30_000,
        demand: () => wanted,
        onDelivery: (delivery) => {
          wanted--;
          got.push(delivery);
        },
      });
      await write(journal, "1");
      await write(inbox, "1", "2", "3", "4", "5");
      await expect.poll(() => log.backlog("EVENTS")).toEqual(new Map([["some", { waiting: 3, taken: 2 }]]));
      got[0]!.ack();
      await expect.poll(() => log.backlog("EVENTS")).toEqual(new Map([["some", { waiting: 3, taken: 1 }]]));
      await consumption.stop();
    });

    it("finds the commands of a run, of a partition, of a step", async () => {
      const { subjects } = log;
      const other = subjects.command("print", "r1", 2);
      const third = subjects.command("charge", "r2", 1);
      for (const subject of [command, other, third]) await write(subject, "x");
      const keys = async (filter: string) => [...(await log.list("COMMANDS", filter)).keys()].toSorted();
      expect(await keys(subjects.all.commandsOfRun("r1"))).toEqual([command, other]);
      expect(await keys(subjects.all.commandsOfStep("charge"))).toEqual([command, third]);
      expect(await keys(subjects.all.commandsOfPartition(subjects.partition("r1")))).toEqual(
        [command, other, third]
          .filter((subject) => subjects.parse(subject)!.partition === subjects.partition("r1"))
          .toSorted(),
      );
    });
  });

  describe(`${name}: large texts`, () => {
    it.each([
      ["300 KiB", 300 * 1_024],
      ["5 MB", 5_000_000],
    ])("of %s go through all doors", async (_size, bytes) => {
      // Not one letter many times over, and not one byte per letter.
      const text = `${bytes}`.padEnd(bytes - 400, "0123456789abcdef").concat("ä".repeat(200));
      const same = (one: { text: string } | undefined) => expect(one!.text === text).toBe(true);
      const live = new Caught<Stored>();
      log.followJournal("r1", (stored) => live.add(stored));
      const inboxes = await takeInboxes(log, { on: ack });
      const commands = await takeCommands(await bed.connect(), "charge", { on: ack });
      await log.append(inbox, text, { expectLast: 0, id: "1" });
      expect((await log.append(inbox, text, { id: "1" })).duplicate).toBe(true);
      await write(inbox, "small");
      await log.append(command, text);
      const { seq } = await log.append(journal, text);
      await write(journal, "small");
      same(await inboxes.came.nth(1));
      expect((await inboxes.came.nth(2)).text).toBe("small");
      same(await commands.came.nth(1));
      same(await live.nth(1));
      expect(live.all[0]!.seq).toBe(seq);
      expect((await live.nth(2)).text).toBe("small");
      for (const fresh of [false, true]) {
        const read = await log.read(inbox, { fresh });
        same(read[0]);
        expect(texts(read.slice(1))).toEqual(["small"]);
      }
      await log.remove(journal);
      await log.append(journal, text);
      for (const fresh of [false, true]) same(await log.last(journal, { fresh }));
    });
  });

  describe(`${name}: what is said to all`, () => {
    it("a journal's messages, as they are stored, in order, to each follower of the run", async () => {
      await write(journal, "before");
      const [mine, theirs] = [new Caught<Stored>(), new Caught<Stored>()];
      const other = await bed.connect();
      const following = log.followJournal("r1", (stored) => mine.add(stored));
      other.followJournal("r1", (stored) => theirs.add(stored));
      // A round trip each: subscribing takes effect in the order of what one connection says.
      await Promise.all([log.last(journal), other.last(journal)]);
      await write(log.subjects.journal("r2"), "another run");
      await Promise.all(Array.from({ length: 50 }, (_, i) => log.append(journal, `${i}`)));
      await write(inbox, "no journal");
      const stored = (await log.read(journal, { fresh: true })).slice(1);
      expect(await mine.count(50)).toEqual(stored);
      expect(await theirs.count(50)).toEqual(stored);
      following.stop();
      await write(journal, "after");
      expect((await theirs.nth(51)).text).toBe("after");
      expect(mine.all).toHaveLength(50);
    });

    it("hints, to whoever listens to the subject (L6)", async () => {
      const other = await bed.connect();
      const heard = new Caught<string>();
      const exact = new Caught<string>();
      const subscription = other.listen(log.subjects.all.cancels(), (text, subject) => heard.add(`${subject} ${text}`));
      other.listen(log.subjects.cancel("r2"), (text) => exact.add(text));
      await other.last(inbox);
      log.broadcast(log.subjects.cancel("r1"), "a");
      log.broadcast(log.subjects.presence, "not listened to");
      log.broadcast(log.subjects.cancel("r2"), "b");
      expect(await heard.count(2)).toEqual([`${log.subjects.cancel("r1")} a`, `${log.subjects.cancel("r2")} b`]);
      expect(await exact.count(1)).toEqual(["b"]);
      subscription.stop();
      await other.last(inbox);
      log.broadcast(log.subjects.cancel("r2"), "c");
      await exact.count(2);
      expect(heard.all).toHaveLength(2);
    });
  });

  describe(`${name}: a callback that throws, or rejects (L7)`, () => {
    it("is reported, and ends nothing", async () => {
      const reports = new Caught<string>();
      log.onError((what, error) => reports.add(`${what}: ${(error as Error).message}`));
      const boom = (text: string) => {
        if (text.startsWith("bad")) throw new Error(text);
      };
      const heard = new Caught<string>();
      const live = new Caught<Stored>();
      let broken = true;
      log.listen(log.subjects.all.cancels(), (text) => {
        heard.add(text);
        boom(text);
      });
      log.followJournal("r1", (stored) => {
        live.add(stored);
        boom(stored.text);
      });
      log.answer(log.subjects.query("r1"), async (text) => {
        boom(text);
        return `${text}!`;
      });
      const { came, pull } = await takeInboxes(log, {
        ackWaitMs: ACK_WAIT_MS,
        demand: () => {
          if (broken) boom("bad demand");
          return 10;
        },
        on: (delivery) => {
          if (delivery.deliveries === 1) boom(delivery.text);
          delivery.ack();
        },
      });
      await reports.until((all) => all.some((report) => report.endsWith("bad demand")));
      broken = false;
      pull();
      await log.last(inbox);
      for (const text of ["bad 1", "good"]) {
        log.broadcast(log.subjects.cancel("r1"), text);
        await log.append(journal, text);
        await log.append(inbox, text);
      }
      expect(await log.ask(log.subjects.query("r1"), "bad", 100)).toBeUndefined();
      expect(await log.ask(log.subjects.query("r1"), "good", 5_000)).toBe("good!");
      expect(await heard.count(2)).toEqual(["bad 1", "good"]);
      expect(texts(await live.count(2))).toEqual(["bad 1", "good"]);
      // What the holder threw at comes again.
      expect(texts(await came.count(2)).toSorted()).toEqual(["bad 1", "good"]);
      await reports.until((all) => all.filter((report) => report.includes("bad 1")).length >= 3);
      // One that rejects is no other case.
      const commands = await takeCommands(log, "charge", {
        ackWaitMs: ACK_WAIT_MS,
        onDelivery: async (delivery: Delivery) => {
          delivery.ack();
          throw new Error("bad command");
        },
      });
      await log.append(command, "1");
      await reports.until((all) => all.some((report) => report.endsWith("bad command")));
      await commands.stop();
    });
  });

  describe(`${name}: a question`, () => {
    /** Says so when what answers is known to the server: then a question finds it. */
    const ready = async (subject: string) => {
      while ((await log.ask(subject, "ready?", 1_000)) === undefined);
    };
    const question = () => log.subjects.query("r1");

    it("gets its answer, from another process", async () => {
      const other = await bed.connect();
      other.answer(
        log.subjects.all.queries(log.subjects.partition("r1")),
        async (text, subject) => `${subject} ${text}`,
      );
      await ready(question());
      expect(await log.ask(question(), "who?", 5_000)).toBe(`${question()} who?`);
      const many = await Promise.all(Array.from({ length: 50 }, (_, i) => log.ask(question(), `${i}`, 5_000)));
      expect(many).toEqual(many.map((_, i) => `${question()} ${i}`));
    });

    it("gets none where nobody listens, and soon", async () => {
      const since = Date.now();
      expect(await log.ask(question(), "who?", 20_000)).toBeUndefined();
      expect(Date.now() - since).toBeLessThan(10_000);
    });

    it("takes the first answer; undefined, and a throw, are none", async () => {
      const other = await bed.connect();
      let asked = 0;
      log.answer(question(), async (text) => (text === "ready?" ? "yes" : undefined));
      other.answer(question(), async (text) => {
        if (text === "ready?") return "yes";
        asked++;
        if (text === "throw") throw new Error("no idea");
        return "mine";
      });
      await ready(question());
      while (asked === 0) await log.ask(question(), "throw", 50);
      expect(await log.ask(question(), "who?", 5_000)).toBe("mine");
      expect(await log.ask(question(), "throw", 100)).toBeUndefined();
    });

    it("gets none in its time, and none after whoever answered has stopped", async () => {
      const other = await bed.connect();
      const answering = other.answer(question(), (text) =>
        text === "ready?" ? Promise.resolve("yes") : new Promise(() => {}),
      );
      await ready(question());
      expect(await log.ask(question(), "who?", 100)).toBeUndefined();
      answering.stop();
      while ((await log.ask(question(), "ready?", 1_000)) !== undefined);
    });
  });

  describe(`${name}: a lost connection`, () => {
    it("is told once it is back, and that the flow was broken; and the flow goes on", async ({ skip }) => {
      if (!bed.cut) return skip();
      const writer = await bed.connect();
      const back = new Caught<string>();
      const order: string[] = [];
      log.onReconnect((serverId) => back.add(serverId));
      const taking = await takeInboxes(log, {
        ackWaitMs: ACK_WAIT_MS,
        on(delivery) {
          order.push(delivery.text);
          delivery.ack();
        },
        onInterrupted(why) {
          order.push("interrupted");
          taking.interrupted.add(why);
        },
      });
      await writer.append(inbox, "1");
      await taking.came.count(1);
      await bed.cut(log);
      expect(await back.nth(1)).toBe(log.serverId);
      await taking.interrupted.count(1);
      await writer.append(inbox, "2");
      await taking.came.until((all) => all.some(({ text }) => text === "2"));
      // Whoever must not trust the order any more is told before the first delivery.
      expect(order.indexOf("interrupted")).toBeLessThan(order.indexOf("2"));
      await log.append(inbox, "3");
      await taking.came.until((all) => all.some(({ text }) => text === "3"));
    });

    it("loses no message, whatever was on its way", async ({ skip }) => {
      if (!bed.cut) return skip();
      const writer = await bed.connect();
      const taking = await takeInboxes(log, { ackWaitMs: ACK_WAIT_MS, on: ack });
      const wrote: Promise<unknown>[] = [];
      for (let i = 0; i < 100; i++) wrote.push(writer.append(inbox, `${i}`));
      const back = new Promise((resolve) => log.onReconnect(resolve));
      await bed.cut(log);
      for (let i = 100; i < 200; i++) wrote.push(writer.append(inbox, `${i}`));
      await Promise.all([...wrote, back]);
      await taking.came.until((all) => new Set(texts(all)).size === 200);
    });

    it("still takes the acknowledgement of what came before it", async ({ skip }) => {
      if (!bed.cut) return skip();
      await write(command, "1");
      const { came } = await takeCommands(log, "charge");
      const mine = await came.nth(1);
      const back = new Promise((resolve) => log.onReconnect(resolve));
      await bed.cut(log);
      await back;
      mine.ack();
      await expect.poll(() => log.list("COMMANDS", ">")).toEqual(new Map());
    });

    it("goes on with listening and following", async ({ skip }) => {
      if (!bed.cut) return skip();
      const writer = await bed.connect();
      const [heard, live] = [new Caught<string>(), new Caught<Stored>()];
      log.listen(log.subjects.all.cancels(), (text) => heard.add(text));
      log.followJournal("r1", (stored) => live.add(stored));
      const back = new Promise((resolve) => log.onReconnect(resolve));
      await bed.cut(log);
      await back;
      await log.last(inbox);
      writer.broadcast(log.subjects.cancel("r1"), "a");
      await writer.append(journal, "j");
      expect(await heard.nth(1)).toBe("a");
      expect((await live.nth(1)).text).toBe("j");
    });
  });

  describe(`${name}: a server that is killed and comes back`, () => {
    it("has all that it acknowledged, and goes on with it, as another process", { timeout: 30_000 }, async ({
      skip,
    }) => {
      if (!bed.restartServer) return skip();
      const before = log.serverId;
      const taking = await takeInboxes(log, { ackWaitMs: ACK_WAIT_MS, on: ack });
      const due = await takeDue(log);
      const acked: string[] = [];
      for (let i = 0; i < 50; i++) {
        await log.append(inbox, `${i}`, { id: `${i}` });
        acked.push(`${i}`);
      }
      await write(command, "c");
      await log.setTimer("r1", 1, Date.now() + 300);
      const back = new Caught<string>();
      log.onReconnect((serverId) => back.add(serverId));
      const last = await log.last(inbox, { fresh: true });
      await bed.restartServer();
      const serverId = await back.nth(1);
      expect(serverId).not.toBe(before);
      expect(log.serverId).toBe(serverId);
      expect(texts(await log.read(inbox, { fresh: true }))).toEqual(acked);
      expect(await log.append(inbox, "0", { id: "0" })).toMatchObject({ duplicate: true });
      await expect(log.append(inbox, "x", { expectLast: 0 })).rejects.toThrow(WrongLastSequenceError);
      await log.append(inbox, "after", { expectLast: last!.seq });
      await taking.came.until((all) => new Set(texts(all)).size === 51);
      expect(texts(await log.read(command, { fresh: true }))).toEqual(["c"]);
      expect((await due.came.nth(1)).subject).toBe(log.subjects.due("r1", 1));
    });
  });

  describe(`${name}: an end`, () => {
    it("sends what is buffered; other processes go on", async () => {
      const other = await bed.connect();
      await write(command, "1");
      const { came } = await takeCommands(other, "charge");
      (await came.nth(1)).ack();
      await other.close();
      await expect.poll(() => log.list("COMMANDS", ">")).toEqual(new Map());
      await expect(other.append(inbox, "x")).rejects.toThrow(LogUnavailableError);
      await write(inbox, "y");
    });
  });
}
