import { MessageTooLargeError } from "@stepstream/contracts";
import { MemoryServer } from "@stepstream/event-log/memory";
import { expect, it } from "vitest";
import type { Decided } from "../run/execution.ts";
import { readDecision } from "./decisions.ts";
import type { Deps } from "./deps.ts";
import { Journal } from "./journal.ts";

const wanted = () => true;

function decided(output: string): Decided[] {
  const event = { type: "SideEffectRecorded", value: output } as const;
  return [{ event, text: JSON.stringify(event) }];
}

function journal() {
  const log = new MemoryServer({ partitions: 1 }).connect("c");
  const read = async () => (await log.read(log.subjects.journal("r1"))).map((stored) => readDecision(stored)!);
  return { journal: new Journal({ log, clock: log.clock } as unknown as Deps, "r1", "me", 0, undefined), read };
}

it("what several messages led to is one decision, or several in their order where it is large", async () => {
  const large = "x".repeat(40 * 1024 * 1024);
  for (const [text, upTo] of [
    ["small", [9]],
    [large, [6, 7, 9]],
  ] as const) {
    const { journal: written, read } = journal();
    // Message 9 has led to nothing.
    const turns = [0, 1, 2].map((i) => decided(`${i}${text}`));
    for (const [i, turn] of turns.entries()) written.turnEnded(turn, 6 + i);
    expect(await written.append(turns.flat(), 9, wanted)).toBe("written");
    const found = await read();
    expect(found.map((decision) => decision.upTo)).toEqual(upTo);
    const values = found.flatMap(({ events }) => events.map((event) => "value" in event && String(event.value)[0]));
    expect(values).toEqual(["0", "1", "2"]);
    expect(written.upTo).toBe(9);
  }
});

it("what one message led to is refused where it is too large, with what to do", async () => {
  const { journal: written, read } = journal();
  const turn = Array.from({ length: 9 }, () => decided("x".repeat(30 * 1024 * 1024))).flat();
  written.turnEnded(turn, 1);
  const refused = written.append(turn, 1, wanted);
  await expect(refused).rejects.toBeInstanceOf(MessageTooLargeError);
  await expect(refused).rejects.toThrow(/a decision of run r1: it has 2831\d+ bytes.*w\.map\(\) and its concurrency/s);
  expect(await read()).toEqual([]);
});
