import { describe, expect, it, vi } from "vitest";
import type { Clock } from "../clock.ts";
import type { Denial, DenialReport } from "../port.ts";
import { Denials } from "./denials.ts";

const denial = (needed: string): Denial => ({ operation: "publish", subject: needed, needed });

function scene() {
  const clock = { at: 0, now: () => clock.at } as { at: number } & Clock;
  const reports: DenialReport[] = [];
  return { clock, reports, denials: new Denials(clock) };
}

describe("a permission that is missing", () => {
  it("is reported at once, then at most once in 10 s, with a count (D1)", () => {
    const { clock, reports, denials } = scene();
    denials.onReport((report) => reports.push(report));
    for (clock.at = 0; clock.at < 30_000; clock.at += 100) denials.note(denial("a"), false);
    expect(reports.map(({ more }) => more)).toEqual([0, 99, 99]);
    expect(reports[0]!.error.message).toContain('Allow this user to publish to "a"');
  });

  it("holds no other one back (D1)", () => {
    const { reports, denials } = scene();
    denials.onReport((report) => reports.push(report));
    for (const needed of ["a", "b", "a"]) denials.note(denial(needed), true);
    expect(reports.map(({ needed }) => needed)).toEqual(["a", "b"]);
  });

  it("is a warning of the process where there is no listener and no call has thrown it (D2)", () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    try {
      const { reports, denials } = scene();
      for (let i = 0; i < 3; i++) denials.note(denial("a"), false);
      denials.note(denial("b"), true);
      denials.onReport((report) => reports.push(report)).stop();
      expect(warned.mock.calls.map(([text]) => text)).toEqual([expect.stringContaining('publish to "a"')]);
      expect(reports).toEqual([]);
    } finally {
      warned.mockRestore();
    }
  });

  it("can be asked for, for a minute; of more than 100 the latest (D3)", () => {
    const { clock, denials } = scene();
    denials.note(denial("old"), true);
    clock.at = 61_000;
    denials.note(denial("new"), true);
    expect(denials.recent().map(({ needed }) => needed)).toEqual(["new"]);
    for (let i = 0; i < 200; i++) denials.note(denial(`d${i}`), true);
    const recent = denials.recent().map(({ needed }) => needed);
    expect(recent).toHaveLength(100);
    expect(recent.at(-1)).toBe("d199");
  });
});
