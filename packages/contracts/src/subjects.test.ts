import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SENDERS, Subjects } from "./subjects.ts";

const subjects = new Subjects("dev", 8);
const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
const slot = fc.integer({ min: 1 });

describe("the subjects of a namespace", () => {
  it.each([
    [subjects.inbox("order-1"), "dev.inbox.5.order-1.*", "EVENTS"],
    [subjects.inboxFrom("worker", "order-1"), "dev.inbox.5.order-1.worker", "EVENTS"],
    [subjects.journal("order-1"), "dev.journal.5.order-1", "EVENTS"],
    [subjects.attempts("order-1", 2), "dev.attempts.5.order-1.2", "EVENTS"],
    [subjects.parked("order-1"), "dev.parked.5.order-1", "EVENTS"],
    [subjects.command("charge", "order-1", 2), "dev.command.charge.5.order-1.2", "COMMANDS"],
    [subjects.timer("order-1", 2), "dev.timer.5.order-1.2", "TIMERS"],
    [subjects.due("order-1", 2), "dev.due.5.order-1.2", "TIMERS"],
    [subjects.dead("charge", "order-1", 2), "dev.dead.charge.5.order-1.2", "DEAD"],
  ])("%s", (built, subject, stream) => {
    expect(built).toBe(subject);
    expect(subjects.streamOf(built)).toBe(stream);
  });

  it("and those that no stream stores", () => {
    expect([
      subjects.liveJournal("order-1"),
      subjects.cancel("order-1"),
      subjects.presence,
      subjects.breaker("charge"),
    ]).toEqual(["dev.live.journal.5.order-1", "dev.cancel.order-1", "dev.presence", "dev.breaker.charge"]);
    expect(() => subjects.streamOf("dev.cancel.order-1")).toThrow(RangeError);
  });

  it("are told one by one where a filter names an inbox", () => {
    expect(subjects.each(subjects.inbox("order-1"))).toEqual(
      SENDERS.map((sender) => subjects.inboxFrom(sender, "order-1")),
    );
    for (const other of [subjects.all.attemptsOfRun("order-1"), subjects.all.inbox(5), subjects.journal("order-1")])
      expect(() => subjects.each(other)).toThrow(RangeError);
  });

  it("are read as they were built", () =>
    fc.assert(
      fc.property(name, name, slot, fc.integer({ min: 1, max: 64 }), (run, step, slot, partitions) => {
        const s = new Subjects("n-1_A", partitions);
        const partition = s.partition(run);
        for (const kind of ["journal", "parked"] as const)
          expect(s.parse(s[kind](run))).toEqual({ kind, partition, run });
        for (const kind of ["attempts", "timer", "due"] as const)
          expect(s.parse(s[kind](run, slot))).toEqual({ kind, partition, run, slot });
        for (const kind of ["command", "dead"] as const)
          expect(s.parse(s[kind](step, run, slot))).toEqual({ kind, step, partition, run, slot });
        for (const sender of SENDERS) {
          const inbox = s.inboxFrom(sender, run);
          expect(s.parse(inbox)).toEqual({ kind: "inbox", partition, run, sender });
          expect(s.runOfInbox(inbox)).toBe(run);
          for (const other of [s.journal(run), inbox.slice(1), `${inbox}.1`, `x${inbox}`, s.inbox(run)])
            expect(s.runOfInbox(other)).toBeUndefined();
        }
      }),
    ));

  it.each([
    "",
    "dev",
    "prod.inbox.5.order-1",
    "dev.inbox.3",
    "dev.inbox.5.order-1",
    "dev.inbox.5.order-1.2",
    "dev.inbox.5.order-1.*",
    "dev.inbox.5.order-1.operator",
    "dev.inbox.5.order-1.Worker",
    "dev.inbox.5.order-1.client.1",
    "dev.inbox.5..client",
    "dev.attempts.5.order-1",
    "dev.command.charge.5.order-1",
    "dev.live.journal.5.order-1",
    "dev.nonsense.5.order-1",
    // A token at fault: each would be a subject of nobody, or of somebody else.
    "dev.inbox.3.order-1.worker",
    "dev.inbox.05.order-1.worker",
    "dev.inbox.5e0.order-1.worker",
    "dev.inbox.-1.order-1.worker",
    "dev.inbox.5.",
    "dev.inbox.5.*",
    "dev.inbox.5.>",
    "dev.inbox.5.*.worker",
    "dev.inbox.5.order 1.worker",
    `dev.inbox.5.${"x".repeat(65)}.worker`,
    "dev.inbox.1.a.b",
    "dev.inbox.1.a.b.worker",
    "dev.due.1",
    "dev.due.5.order-1.x",
    "dev.due.5.order-1.0",
    "dev.due.5.order-1.01",
    "dev.due.5.order-1.1.5",
    "dev.due.5.order-1.4294967296",
    "dev.attempts.5.order-1.2147483648",
    "dev.command.x.5.order-1.notaslot",
    "dev.command.x.1.r.notaslot",
    "dev.command.*.5.order-1.1",
    "dev.command..5.order-1.1",
    "dev.dead.-.5.order-1.-1",
  ])("do not take %j for one of theirs", (subject) => {
    expect(subjects.parse(subject)).toBeUndefined();
    expect(subjects.runOfInbox(subject)).toBeUndefined();
  });

  it("are matched by their filters, and no others", () => {
    const mine = [
      subjects.command("charge", "order-1", 2),
      subjects.inboxFrom("client", "order-1"),
      subjects.parked("order-1"),
      subjects.due("order-1", 2),
    ];
    const matched = (filter: string) => mine.filter((subject) => matches(filter, subject));
    expect(matched(subjects.all.commandsOfStep("charge"))).toEqual([mine[0]]);
    expect(matched(subjects.all.commandsOfStep("charge2"))).toEqual([]);
    expect(matched(subjects.all.commandsOfRun("order-1"))).toEqual([mine[0]]);
    expect(matched(subjects.all.commandsOfPartition(5))).toEqual([mine[0]]);
    expect(matched(subjects.all.inbox(5))).toEqual([mine[1]]);
    expect(matched(subjects.inbox("order-1"))).toEqual([mine[1]]);
    expect(matched(subjects.inbox("order-2"))).toEqual([]);
    expect(matched(subjects.all.parked(5))).toEqual([mine[2]]);
    expect(matched(subjects.all.due())).toEqual([mine[3]]);
    expect(matches(subjects.all.journals(), subjects.journal("order-1"))).toBe(true);
    expect(matches(subjects.all.cancels(), subjects.cancel("order-1"))).toBe(true);
  });
});

/** The wildcards of NATS: `*` is one token, `>` at the end one or more. */
function matches(filter: string, subject: string): boolean {
  const [f, s] = [filter.split("."), subject.split(".")];
  if (f.at(-1) === ">") return s.length >= f.length && f.slice(0, -1).every((t, i) => t === "*" || t === s[i]);
  return f.length === s.length && f.every((t, i) => t === "*" || t === s[i]);
}
