import { describe, expect, it } from "vitest";
import { withTimes } from "./json.ts";

describe("what --json prints", () => {
  it("has times as ISO 8601, also in lists and in what is inside (J1)", () => {
    expect(withTimes({ at: 0, next: [1, 2], slots: [{ since: 3, endedAt: 4, attempt: 2 }], tookMs: 5 })).toEqual({
      at: "1970-01-01T00:00:00.000Z",
      next: ["1970-01-01T00:00:00.001Z", "1970-01-01T00:00:00.002Z"],
      slots: [{ since: "1970-01-01T00:00:00.003Z", endedAt: "1970-01-01T00:00:00.004Z", attempt: 2 }],
      tookMs: 5,
    });
  });

  it("leaves alone what users have put in, and what is no time (J2)", () => {
    const given = { input: { at: 1 }, output: { createdAt: 2 }, error: { data: { since: 3 } }, at: 1e20, format: 4 };
    expect(withTimes(given)).toEqual(given);
  });
});
