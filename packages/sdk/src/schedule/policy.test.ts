import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Due,
  decide,
  initialPolicy,
  MOST_WAITING,
  type PolicyAction,
  type PolicyEvent,
  type PolicyState,
  room,
} from "./policy.ts";
import { Overlap } from "./spec.ts";

/**
 * What happens, in short: `1 2` times that came one by one, `[1 2]` at once, `1!` too late, `m1` asked for by hand,
 * `/1` the run of 1 has ended, `||` pause, `>` resume. What is decided: `1` started, `-1` skipped, `!1` missed, `x1` stopped.
 */
function play(
  overlap: Overlap,
  story: string,
  initial: Partial<PolicyState> = {},
): { state: PolicyState; told: string } {
  let state: PolicyState = { ...initialPolicy, ...initial };
  const told: string[] = [];
  for (const word of story.match(/\[[^\]]*\]|\S+/g) ?? []) {
    const step = decide(state, eventOf(word, overlap));
    state = step.state;
    told.push(...step.actions.map(spell));
  }
  return { state, told: told.join(" ") };
}

function eventOf(word: string, overlap: Overlap): PolicyEvent {
  if (word === "||") return { type: "paused" };
  if (word === ">") return { type: "resumed" };
  if (word.startsWith("/")) return { type: "ended", run: word.slice(1) };
  const due = word
    .replace(/[[\]]/g, "")
    .split(" ")
    .map(
      (name): Due => ({
        at: Number.parseInt(name.replace("m", ""), 10),
        run: name.replace("!", ""),
        cause: name.startsWith("m") ? "trigger" : "time",
        overlap,
      }),
    );
  return { type: "came", due, lateMs: () => (word.includes("!") ? 11 : 10), catchUpMs: 10 };
}

function spell(action: PolicyAction): string {
  switch (action.type) {
    case "start":
      return action.due.run;
    case "skip":
      return `-${action.due.run}`;
    case "miss":
      return `!${action.due.run}`;
    case "stop":
      return `x${action.run}`;
    default:
      return action satisfies never;
  }
}

describe("a time that comes while the run of an earlier one is on", () => {
  it.each<[Overlap, string, string]>([
    ["skip", "1 2 3 /1 4", "1 -2 -3 4"],
    ["skip", "[1 2 3]", "1 -2 -3"],
    ["buffer-one", "1 2 3 /1 4 /2 /4", "1 -3 2 4"],
    ["buffer-one", "[1 2 3]", "1 -3"],
    ["buffer-all", "1 2 3 /1 /2 /3", "1 2 3"],
    ["cancel-other", "1 2 /1 3 /2", "1 x1 2 x2 3"],
    ["cancel-other", "1 2 3 4 /1", "1 x1 -2 -3 4"],
    ["cancel-other", "[1 2 3]", "-1 -2 3"],
    ["terminate-other", "1 2 /1", "1 x1 2"],
    ["allow-all", "1 2 [3 4] /1 5", "1 2 3 4 5"],
  ])("%s: %s", (overlap, story, told) => expect(play(overlap, story).told).toBe(told));

  it("is not started by the end of another run", () => expect(play("buffer-all", "1 2 /7").told).toBe("1"));

  it("waits, where it would stop a run that was not started to be stopped (P7)", () => {
    const { state } = play("skip", "1");
    expect(play("cancel-other", "2 3 /1 4", state).told).toBe("-2 3 x3");
  });

  it("is skipped once 1,000 wait", () => {
    const { state } = play("buffer-all", "1");
    const full = { ...state, waiting: Array.from({ length: MOST_WAITING }, () => state.waiting[0]!) };
    expect(play("buffer-all", "2", full).told).toBe("-2");
  });
});

describe("a pause (P4)", () => {
  it.each<[Overlap, string, string]>([
    ["skip", "|| 1 > 2", "!1 2"],
    ["skip", "|| m1 /m1 > 2", "m1 2"],
    ["buffer-all", "1 2 || /1 > /2", "1 2"],
    ["buffer-all", "1 2 m3 || /1 /m3 >", "1 m3 2"],
    ["cancel-other", "1 2 || /1 m3 >", "1 x1 m3"],
  ])("%s: %s", (overlap, story, told) => expect(play(overlap, story).told).toBe(told));
});

describe("a time that comes late (P5)", () => {
  it.each<[Overlap, string, string]>([
    ["skip", "1!", "!1"],
    ["skip", "1 2!", "1 -2"],
    ["buffer-all", "1 2! /1", "1 2"],
    ["allow-all", "1 2!", "1 !2"],
    ["cancel-other", "1 2!", "1 !2"],
    ["skip", "m1!", "m1"],
  ])("%s: %s", (overlap, story, told) => expect(play(overlap, story).told).toBe(told));
});

describe("a limit (P6)", () => {
  it.each<[Overlap, string, string]>([
    ["allow-all", "1 2 3", "1 2 -3"],
    ["buffer-all", "1 2 3 /1 /2 /3", "1 2 -3"],
    ["allow-all", "m1 m2 m3 4 5 6", "m1 m2 m3 4 5 -6"],
  ])("of 2, %s: %s", (overlap, story, told) => expect(play(overlap, story, { left: 2 }).told).toBe(told));
});

// ---------------------------------------------------------------- whatever happens

type Happening =
  | { what: "came"; overlaps: Overlap[]; cause: Due["cause"]; late: boolean }
  | { what: "ended" | "paused" | "resumed" };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  fc.record({
    what: fc.constant("came" as const),
    overlaps: fc.array(fc.constantFrom(...Overlap.options), { minLength: 1, maxLength: 4 }),
    cause: fc.constantFrom("time" as const, "time" as const, "trigger" as const, "backfill" as const),
    late: fc.boolean(),
  }),
  fc.record({ what: fc.constantFrom("ended" as const, "ended" as const, "paused" as const, "resumed" as const) }),
);

describe("whatever happens, in whatever order", () => {
  it("P1, P2, P3, P4, P6 and P7 hold", () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 60 }), fc.option(fc.nat(5)), (happenings, limit) => {
        let state: PolicyState = { ...initialPolicy, left: limit };
        const came = new Set<string>();
        const fates = new Map<string, string>();
        const stopped = new Set<string>();
        let tracked: string | undefined;
        let byThemselves = 0;
        let n = 0;
        for (const one of happenings) {
          let event: PolicyEvent;
          if (one.what === "came") {
            const due = one.overlaps.map((overlap): Due => ({ at: ++n, run: `r${n}`, cause: one.cause, overlap }));
            for (const { run } of due) came.add(run);
            event = { type: "came", due, lateMs: () => (one.late ? 2 : 0), catchUpMs: 1 };
          } else if (one.what === "ended") {
            if (!tracked) continue;
            event = { type: "ended", run: tracked };
            tracked = undefined;
          } else event = { type: one.what };

          const before = state;
          const step = decide(state, event);
          expect(before).toEqual(structuredClone(before));
          state = step.state;
          for (const action of step.actions) {
            if (action.type === "stop") {
              expect(action.run).toBe(tracked);
              expect(stopped.has(action.run)).toBe(false);
              stopped.add(action.run);
              continue;
            }
            expect(fates.has(action.due.run)).toBe(false);
            fates.set(action.due.run, action.type);
            if (action.type !== "start") continue;
            if (action.due.cause === "time") {
              byThemselves++;
              expect(state.paused).toBe(false);
            }
            if (action.due.overlap === "allow-all") continue;
            expect(tracked).toBeUndefined();
            tracked = action.due.run;
          }
          expect(state.running?.run).toBe(tracked);
          const waits = new Set(state.waiting.map(({ run }) => run));
          expect(waits.size).toBe(state.waiting.length);
          for (const run of came) expect(fates.has(run) !== waits.has(run)).toBe(true);
          if (!tracked) expect(state.waiting.every(({ cause }) => state.paused && cause === "time")).toBe(true);
          if (limit !== null) expect(byThemselves).toBeLessThanOrEqual(limit);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("what there is no room for is skipped, so it need not be listed", () => {
    fc.assert(
      fc.property(
        fc.constantFrom<Overlap>("skip", "buffer-one"),
        fc.boolean(),
        fc.integer({ min: 0, max: 3 }),
        fc.integer({ min: 0, max: 6 }),
        (overlap, running, waiting, count) => {
          const due = (run: string): Due => ({ at: 1, run, cause: "time", overlap });
          const state: PolicyState = running
            ? {
                ...initialPolicy,
                running: { run: "on", stoppable: false, stopping: false },
                waiting: Array.from({ length: waiting }, (_, i) => due(`w${i}`)),
              }
            : initialPolicy;
          const all = Array.from({ length: count }, (_, i) => due(`r${i}`));
          const listed = all.slice(0, room(state, overlap));
          const whole = decide(state, { type: "came", due: all });
          const part = decide(state, { type: "came", due: listed });
          expect(part.state).toEqual(whole.state);
          expect([...part.actions.map(spell), ...all.slice(listed.length).map((d) => `-${d.run}`)]).toEqual(
            whole.actions.map(spell),
          );
        },
      ),
    );
  });
});
