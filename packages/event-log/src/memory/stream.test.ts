import { LogRefusedError, WrongLastSequenceError } from "@stepstream/contracts";
import { describe, expect, it } from "vitest";
import { MemoryStream, RULES } from "./stream.ts";

const MINUTE = 60_000;
const events = () => new MemoryStream(RULES.EVENTS, 2 * MINUTE);
const seqs = (stream: MemoryStream, subject: string) => stream.of(subject).map(({ seq }) => seq);

describe("a stream", () => {
  it("looks at the fence, then at the id, then at the room on the subject (M1)", () => {
    const stream = new MemoryStream(RULES.COMMANDS, 2 * MINUTE);
    stream.append("a", "1", 0, { id: "x", expectLast: 0 });
    expect(() => stream.append("a", "1", 0, { id: "x", expectLast: 0 })).toThrow(WrongLastSequenceError);
    expect(stream.append("a", "1", 0, { id: "x", expectLast: 1 })).toEqual({ seq: 1, duplicate: true });
    expect(() => stream.append("a", "1", 0, { id: "y", expectLast: 1 })).toThrow(LogRefusedError);
    expect(stream.lastSeq).toBe(1);
  });

  it("remembers an id for two minutes, whatever became of its message (M2)", () => {
    const stream = events();
    stream.append("a", "1", 0, { id: "x" });
    expect(stream.append("a", "1", 2 * MINUTE, { id: "x" })).toEqual({ seq: 1, duplicate: true });
    expect(stream.append("a", "1", 2 * MINUTE + 1, { id: "x" })).toEqual({ seq: 2, duplicate: false });
    expect(stream.append("a", "1", 4 * MINUTE, { id: "x" }).duplicate).toBe(true);
  });

  it("holds back the same text on the same subject, and nothing else that has the id (M2)", () => {
    const stream = events();
    stream.append("a", "1", 0, { id: "x" });
    expect(stream.append("b", "1", 0, { id: "x" })).toEqual({ seq: 2, duplicate: false });
    expect(stream.append("a", "2", 0, { id: "x" })).toEqual({ seq: 3, duplicate: false, displacedBy: "1" });
    expect(stream.append("a", "1", 0, { id: "x" })).toEqual({ seq: 1, duplicate: true });
    stream.delete(1);
    expect(stream.append("a", "1", 0, { id: "x" })).toEqual({ seq: 4, duplicate: false });
    const queue = new MemoryStream(RULES.COMMANDS, 2 * MINUTE);
    queue.append("a", "1", 0, { id: "x" });
    queue.delete(1);
    expect(queue.append("a", "1", 0, { id: "x" })).toEqual({ seq: 1, duplicate: true, gone: true });
  });

  it("uses no sequence twice, and its time never goes back (M3)", () => {
    const stream = events();
    for (const now of [10.7, 5, 20]) stream.append("a", "x", now);
    stream.purge("a", 0);
    stream.append("a", "x", 1);
    expect(stream.of("a")).toEqual([{ subject: "a", seq: 4, at: 20, text: "x" }]);
  });

  it("purges all but the last, of one subject only", () => {
    const stream = events();
    for (const subject of ["a", "b", "a", "a"]) stream.append(subject, "x", 0);
    expect([stream.purge("a", 1), stream.purge("a", 1), stream.purge("c", 0)]).toEqual([2, 0, 0]);
    expect([seqs(stream, "a"), seqs(stream, "b"), stream.get(1)]).toEqual([[4], [2], undefined]);
    expect(stream.list(">")).toEqual(
      new Map([
        ["a", 1],
        ["b", 1],
      ]),
    );
  });

  it("replaces a schedule by the next of its subject", () => {
    const stream = new MemoryStream(RULES.TIMERS, 2 * MINUTE);
    stream.append("a", "1", 0);
    stream.append("a", "2", 0);
    expect(seqs(stream, "a")).toEqual([2]);
  });

  it("gives nobody a message that he could change", () => {
    const stream = events();
    stream.append("a", "1", 0);
    expect(() => Object.assign(stream.get(1)!, { text: "2" })).toThrow(TypeError);
  });
});

describe("a server that starts again", () => {
  it("knows the ids of what it has, and no others", () => {
    const stream = new MemoryStream(RULES.COMMANDS, 2 * MINUTE);
    stream.append("a", "1", 0, { id: "kept" });
    stream.append("b", "2", 0, { id: "acked" });
    stream.delete(2);
    stream.forgetIdsOfTheGone();
    expect(stream.append("a", "1", 1, { id: "kept" }).duplicate).toBe(true);
    expect(stream.append("b", "2", 1, { id: "acked" }).duplicate).toBe(false);
  });

  it("without its tail uses the sequences of what it lost again", () => {
    const stream = events();
    for (const [now, text] of [
      [10, "a"],
      [20, "b"],
      [30, "c"],
    ] as const)
      stream.append("s", text, now, { id: text });
    stream.forgetAfter(10);
    expect([seqs(stream, "s"), stream.lastSeq]).toEqual([[1], 1]);
    expect(stream.append("s", "c", 40, { id: "c", expectLast: 1 })).toEqual({ seq: 2, duplicate: false });
  });
});
