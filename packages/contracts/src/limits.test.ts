import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decode } from "./codec.ts";
import { isDeeperText, MAX_MESSAGE_DEPTH } from "./limits.ts";
import { InboxMessage } from "./messages.ts";

const depthOf = (value: unknown): number =>
  typeof value === "object" && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0;

describe("the depth of a JSON text", () => {
  it("is that of its value, whatever is in its strings", () =>
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 12 }), fc.integer({ min: 0, max: 14 }), (value, max) => {
        const text = JSON.stringify(value).padEnd(2 * max + 1);
        expect(isDeeperText(text, max)).toBe(depthOf(value) > max);
      }),
    ));

  it.each([MAX_MESSAGE_DEPTH - 2, MAX_MESSAGE_DEPTH + 1, 10_000, 2_000_000])(
    "of %i levels is read, or refused",
    (n) => {
      const payload = `${"[".repeat(n)}${"]".repeat(n)}`;
      const read = () =>
        decode(InboxMessage, `{"v":1,"type":"SignalReceived","id":"x","name":"n","payload":${payload}}`, "it");
      if (n < MAX_MESSAGE_DEPTH) expect(read()).toMatchObject({ id: "x" });
      else expect(read).toThrow("nested deeper than 524 levels");
    },
  );
});
