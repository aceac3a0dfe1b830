import { Failure, MAX_MESSAGE_BYTES, toFailure } from "@stepstream/contracts";
import { describe, expect, it } from "vitest";
import { withError } from "./fitting.ts";

describe("a message about an error", () => {
  it("has the error as it is", () => {
    const error = toFailure(new Error("boom"));
    expect(JSON.parse(withError("it", error, (failure) => ({ v: 1, error: failure }))).error).toEqual(
      JSON.parse(JSON.stringify(error)),
    );
  });

  it("has what identifies an error that is too large to be sent", () => {
    const large = { ...toFailure(new TypeError("boom")), stack: "x".repeat(MAX_MESSAGE_BYTES) };
    const text = withError("it", large, (failure) => ({ v: 1, error: failure }));
    expect(text.length).toBeLessThan(1_000);
    expect(Failure.parse(JSON.parse(text).error)).toMatchObject({
      name: "TypeError",
      message: expect.stringMatching(/^boom/),
    });
  });
});
