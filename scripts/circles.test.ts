import { describe, expect, it } from "vitest";
import { circlesIn } from "./circles.ts";

/** `"a b c"`: a imports b and c. */
const files = (...lines: string[]) => new Map(lines.map((line) => line.split(" ")).map(([file, ...to]) => [file!, to]));
const known = (...pairs: string[]) =>
  pairs.map((pair) => pair.split(" ")).map(([from, to]) => ({ from: from!, to: to! }));

describe("circles among imports", () => {
  it("are none where the arrows go one way", () => {
    expect(circlesIn(files("a b c", "b c d", "c d", "d"), [])).toEqual([]);
  });

  it("are named with the way round", () => {
    const [circle, ...others] = circlesIn(files("x a", "a b", "b c d", "c a", "d"), []);
    expect(circle).toMatch(/^A circle of imports: (a → b → c → a|b → c → a → b|c → a → b → c)\.\n/);
    expect(others).toEqual([]);
  });

  it("are each found, also a file that imports itself", () => {
    expect(circlesIn(files("a b", "b a c", "c d", "d c", "e e"), [])).toHaveLength(3);
  });

  it("that are known are let be, and no other, also not among the same files", () => {
    expect(circlesIn(files("a b", "b a"), known("b a"))).toEqual([]);
    expect(circlesIn(files("a b", "b a c", "c b"), known("b a"))).toEqual([
      expect.stringMatching(/^A circle of imports: (b → c → b|c → b → c)\./),
    ]);
  });

  it("that are known have to be there: the list can only become shorter", () => {
    const gone = "b → a closes no circle any more. Take it out of the known circles (KNOWN).";
    expect(circlesIn(files("a b", "b"), known("b a"))).toEqual([gone]);
    expect(circlesIn(files("a", "b a"), known("b a"))).toEqual([gone]);
  });
});
