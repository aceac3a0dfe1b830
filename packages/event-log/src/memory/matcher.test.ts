import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { matcher } from "./matcher.ts";

describe("a filter", () => {
  it.each([
    ["a.b.c", "a.b.c", true],
    ["a.b.c", "a.b", false],
    ["a.b.c", "a.b.c.d", false],
    ["a.b.c", "a.b.cc", false],
    ["a.*.c", "a.b.c", true],
    ["a.*.c", "a.c", false],
    ["a.*", "a.b.c", false],
    ["*.b.*", "a.b.c", true],
    ["a.>", "a.b", true],
    ["a.>", "a.b.c.d", true],
    ["a.>", "a", false],
    ["a.>", "a.", false],
    ["a.>", "ab.c", false],
    ["a.*.c.>", "a.b.c.d.e", true],
    ["a.*.c.>", "a.b.c", false],
    [">", "a", true],
    [">", "a.b", true],
  ])("%s for %s: %s", (filter, subject, matches) => expect(matcher(filter)(subject)).toBe(matches));

  it("without a star matches as its slower kin with one does", () => {
    const tokens = fc.array(fc.constantFrom("a", "b", "aa"), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(tokens, tokens, fc.boolean(), (filter, subject, tail) => {
        const fast = [...filter, ...(tail ? [">"] : [])].join(".");
        const slow = ["*", ...fast.split(".").slice(1)].join(".");
        const same = subject[0] === filter[0] && matcher(slow)(subject.join("."));
        expect(matcher(fast)(subject.join("."))).toBe(same);
      }),
    );
  });
});
