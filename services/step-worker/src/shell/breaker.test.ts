import { systemClock } from "@stepstream/event-log";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Admission, Breaker } from "./breaker.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/**
 * Plays a history at a breaker of three failures: `+` `-` `?` an attempt succeeds, fails, says nothing; `(` one begins
 * that the next `)+` `)-` ends; `~` the cooldown passes. Where none is let in, `x`.
 */
function play(history: string): string {
  const breaker = new Breaker({ name: "b", failures: 3, cooldownMs: 1_000 }, systemClock, () => {});
  const begun: (Admission | undefined)[] = [];
  const healths = { "+": "good", "-": "bad", "?": "unknown" } as const;
  let refused = "";
  for (const word of history.split(" ").filter(Boolean)) {
    if (word === "~") vi.advanceTimersByTime(1_000);
    else {
      const admission = word.startsWith(")") ? begun.shift() : breaker.enter();
      if (!admission) refused += "x";
      else if (word === "(") begun.push(admission);
      else breaker.report(admission, healths[word.at(-1) as "+"]);
    }
  }
  const { state } = breaker;
  breaker.stop();
  return refused ? `${state} ${refused}` : state;
}

describe("a breaker of three failures", () => {
  it.each([
    ["is closed", "", "closed"],
    ["stays closed after two", "- -", "closed"],
    ["opens after three in a row (B1)", "- - -", "open"],
    ["begins anew after a success", "- - + - -", "closed"],
    ["is not soothed by what says nothing (B3)", "- - ? -", "open"],
    ["lets nothing in while it is open (B2)", "- - - + +", "open xx"],
    ["is half open after its cooldown", "- - - ~", "halfOpen"],
    ["closes after a good probe", "- - - ~ +", "closed"],
    ["opens after a bad one", "- - - ~ -", "open"],
    ["takes another after one that says nothing (B3)", "- - - ~ ? +", "closed"],
    ["lets one probe in at a time (B2)", "- - - ~ ( ( ( )+", "closed xx"],
    ["does not take late news for the probe's", "( - - - ~ ( )+", "halfOpen"],
    ["hears the probe all the same", "( - - - ~ ( )+ )-", "open"],
    ["begins anew once it has closed", "- - - ~ + - -", "closed"],
  ])("%s", (_sentence, history, expected) => expect(play(history)).toBe(expected));

  it("opens exactly when the last three that said something failed", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("+", "-", "?"), { maxLength: 12 }), (words) => {
        const firstRun = words.findIndex((_, i) => {
          const said = words.slice(0, i + 1).filter((word) => word !== "?");
          return said.length >= 3 && said.slice(-3).every((word) => word === "-");
        });
        expect(play(words.join(" ")).startsWith("open")).toBe(firstRun >= 0);
      }),
    );
  });

  it("leaves no timer behind", () => {
    const breaker = new Breaker({ name: "b", failures: 1, cooldownMs: 1_000 }, systemClock, () => {});
    breaker.report(breaker.enter()!, "bad");
    // The clock that it is measured by is real.
    expect(breaker.leftMs()).toBeGreaterThan(0);
    expect(vi.getTimerCount()).toBe(1);
    breaker.stop();
    expect(vi.getTimerCount()).toBe(0);
  });
});
