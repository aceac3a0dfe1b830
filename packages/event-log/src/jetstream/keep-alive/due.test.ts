import { describe, expect, it } from "vitest";
import { eachDue, noteKept } from "./due.ts";
import { ACK_WAIT_MS, ALIVE_AT, Block, KEPT_AT, UNTIL, WAS_LATE } from "./table.ts";

const MINUTE = 60_000;

interface Row {
  subject: string;
  until?: number;
  aliveAt?: number;
  ackWaitMs?: number;
}

function tableOf(...rows: Row[]): Block {
  const block = Block.make(rows.length + 1);
  rows.forEach(({ subject, until = 0, aliveAt = 1_000, ackWaitMs = 10_000 }, row) => {
    block.set(row, UNTIL, until);
    block.set(row, ALIVE_AT, aliveAt);
    block.set(row, ACK_WAIT_MS, ackWaitMs);
    block.take(row, subject);
  });
  return block;
}

function due(block: Block, now: number): string[] {
  const found: string[] = [];
  eachDue([block], now, (at, row) => {
    found.push(at.subject(row));
    noteKept(at, row, now);
  });
  return found;
}

describe("what the keep-alive thread has to keep alive", () => {
  it("leaves alone what the main thread keeps alive", () => {
    const block = tableOf({ subject: "a", until: MINUTE });
    for (let now = 1_000; now < 30_000; now += 100) {
      if (now % 3_400 < 100) block.set(0, ALIVE_AT, now);
      expect(due(block, now)).toEqual([]);
    }
  });

  it("is what the main thread is late with, again and again while it is blocked", () => {
    const block = tableOf({ subject: "a", until: MINUTE }, { subject: "b", until: MINUTE, ackWaitMs: 2_000 });
    const at: Record<string, number[]> = { a: [], b: [] };
    for (let now = 1_000; now <= 14_000; now += 100) for (const one of due(block, now)) at[one]!.push(now);
    expect(at.a).toEqual([5_000, 9_000, 13_000]);
    expect(at.b!.slice(0, 3)).toEqual([1_800, 2_600, 3_400]);
    expect(block.get(0, WAS_LATE)).toBe(0);
  });

  it("is kept alive as long as one of them is within its time", () => {
    const block = tableOf(
      { subject: "waits" },
      { subject: "over", until: 2_000 },
      { subject: "computes", until: MINUTE },
    );
    expect(due(block, MINUTE - 1)).toEqual(["waits", "over", "computes"]);
    expect(due(block, 2 * MINUTE)).toEqual([]);
  });

  it("is kept for ten minutes where it has no end of its own", () => {
    const block = tableOf({ subject: "endless", until: Number.POSITIVE_INFINITY });
    expect(due(block, 10 * MINUTE)).toEqual(["endless"]);
    expect(due(block, 10 * MINUTE + 1_000)).toEqual([]);
  });

  it("marks what was silent for too long", () => {
    const block = tableOf({ subject: "a", until: MINUTE });
    expect(due(block, 6_001)).toEqual(["a"]);
    expect([block.get(0, KEPT_AT), block.get(0, WAS_LATE)]).toEqual([6_001, 1]);
    expect(due(block, 7_000)).toEqual([]);
  });

  it("is nothing where nothing is in hand", () => {
    const block = tableOf({ subject: "a", until: MINUTE, ackWaitMs: 500 });
    expect(eachDue([block], 1_000, () => {})).toBe(500);
    block.free(0);
    expect(eachDue([block], 20_000, () => expect.unreachable())).toBe(Number.POSITIVE_INFINITY);
  });
});
