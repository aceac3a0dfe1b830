import { MemoryServer } from "@stepstream/event-log/memory";
import { beforeEach, describe, expect, it } from "vitest";
import { Chance } from "../chance.ts";
import { VirtualClock } from "../clock.ts";
import { Ledger } from "./ledger.ts";
import type { LiveRun } from "./scenario.ts";
import { Watch } from "./watch.ts";

let server: MemoryServer;
let ledger: Ledger;
let excused: (run: LiveRun) => boolean;
let watch: Watch;

beforeEach(async () => {
  server = new MemoryServer({ partitions: 1, clock: new VirtualClock(new Chance(1).next) });
  ledger = new Ledger();
  excused = () => false;
  watch = new Watch({
    server,
    ledger,
    latencyMs: 1,
    restartedAt: () => Number.NEGATIVE_INFINITY,
    vanishedAt: () => Number.NEGATIVE_INFINITY,
    frozenAt: () => Number.NEGATIVE_INFINITY,
    workflows: [],
    excused: (run) => excused(run),
  });
  server.append(server.subjects.inboxFrom("client", "r1"), JSON.stringify({ type: "RunStarted", workflow: "w" }));
});

/** Somebody takes what is in the inbox, and is done with it. */
function acknowledge(): void {
  const inbox = server.consumer("EVENTS", "inbox-0", server.subjects.all.inbox(0), 5_000);
  inbox.add({ credit: 10, open: () => true, take: ({ seq }) => inbox.ack(seq) });
  inbox.dispatch();
}

function faults(): string[] {
  watch.checkCauses(watch.runs());
  return ledger.faults;
}

describe("a live run", () => {
  it("rests on its inbox until that is acknowledged, and then on nothing", () => {
    expect(watch.runs()).toEqual(["r1"]);
    expect(faults()).toEqual([]);
    acknowledge();
    expect(faults()).toEqual(["run r1 lives by nothing that is stored"]);
  });

  it.each([
    ["a command", () => server.append(server.subjects.command("s", "r1", 1), "{}")],
    ["a timer", () => server.setTimer("r1", 1, Number.MAX_SAFE_INTEGER)],
    ["a record of its parking", () => server.append(server.subjects.parked("r1"), "{}")],
  ])("rests on %s", (_what, store) => {
    acknowledge();
    store();
    expect(faults()).toEqual([]);
  });

  it("need not, if that is excused by what has happened to it", () => {
    acknowledge();
    excused = (run) => run.id === "r1" && run.inbox()[0]?.type === "RunStarted" && run.events().length === 0;
    expect(faults()).toEqual([]);
  });

  it("has nothing to rest on once it has ended", () => {
    acknowledge();
    const end = { type: "Decision", upTo: 1, events: [{ type: "RunCompleted" }] };
    server.append(server.subjects.journal("r1"), JSON.stringify(end));
    expect(faults()).toEqual([]);
    expect(watch.ended("r1")).toBe(true);
  });
});

describe("a handler that is called", () => {
  it("was asked for in the journal before, and its slot had no outcome", () => {
    const place = { run: "r1", slot: 1, step: "s" };
    watch.checkStart(place);
    expect(ledger.faults.splice(0)).toEqual(["slot 1 of run r1 is run (s) before its decision is in the journal"]);
    const decision = { type: "Decision", upTo: 1, events: [{ type: "StepScheduled", slot: 1, step: "s" }] };
    server.append(server.subjects.journal("r1"), JSON.stringify(decision));
    watch.checkStart(place);
    expect(ledger.faults).toEqual([]);
  });
});
