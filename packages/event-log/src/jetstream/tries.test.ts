import { describe, expect, it } from "vitest";
import { Answered, refusedWaitMs, silenceMs } from "./tries.ts";

const NUMBERS = [1, 2, 3, 4, 5, 6];

describe("a request", () => {
  it("without an answer is sent again after half a second, then after twice that, at most five (T1)", () => {
    expect(NUMBERS.map((tries) => silenceMs(tries))).toEqual([500, 1_000, 2_000, 4_000, 5_000, 5_000]);
  });

  it("that was refused for now is sent again after 50 ms, then after twice that, at most 500 (T3)", () => {
    expect(NUMBERS.map(refusedWaitMs)).toEqual([50, 100, 200, 400, 500, 500]);
  });
});

describe("what was sent as number 5 at 1,000 (T2)", () => {
  it.each([
    ["is not lost before its time", [], 1, 1_499, false],
    ["seems lost after it, if nothing was ever answered", [], 1, 1_500, true],
    ["seems lost if the last answer is older", [[4, 900]], 1, 1_500, true],
    ["is not lost while answers to earlier ones come", [[4, 1_400]], 1, 1_500, false],
    ["seems lost if the answers have ended", [[4, 1_400]], 1, 1_900, true],
    ["seems lost if a later one was answered, however lately", [[6, 1_490]], 1, 1_500, true],
    ["is not lost at once, though a later one was answered", [[6, 1_100]], 1, 1_400, false],
    ["gets longer the second time", [], 2, 1_900, false],
    ["seems lost the second time after twice the time", [], 2, 2_000, true],
    ["seems lost the second time after half a second, if a later one was answered", [[6, 1_200]], 2, 1_500, true],
    ["is not lost where what is answered out of turn came", [[0, 1_400]], 1, 1_500, false],
  ] as const)("%s", (_sentence, answers, tries, now, lost) => {
    const answered = new Answered();
    for (const [number, at] of answers) answered.note(number, at);
    expect(answered.seemsLost({ number: 5, sentAt: 1_000, tries }, now)).toBe(lost);
  });
});
