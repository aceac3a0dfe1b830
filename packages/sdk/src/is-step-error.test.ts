import { DeclaredError, fromFailure, StepError, toFailure } from "@stepstream/contracts";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { isStepError } from "./is-step-error.ts";
import { step } from "./step.ts";

const charge = step("charge", {
  input: z.void(),
  output: z.void(),
  errors: { Declined: z.object({ until: z.date() }), Closed: z.void() },
});
const print = step("print", { input: z.void(), output: z.void() });
const until = new Date(5);
const failed = (cause: Error) =>
  fromFailure(toFailure(new StepError({ run: "r", step: "charge", slot: 1, attempt: 1 }, undefined, cause)));

describe("an error that was caught", () => {
  it("is the step's failure, whatever it failed with", () => {
    expect(isStepError(failed(new Error("x")), charge)).toBe(true);
    expect(isStepError(failed(new Error("x")), print)).toBe(false);
    for (const other of [new Error("x"), undefined, null, "charge", { step: "charge" }])
      expect(isStepError(other, charge)).toBe(false);
  });

  it("is one of the step's declared errors, with its data", () => {
    const error: unknown = failed(new DeclaredError("Declined", { until }));
    if (!isStepError(error, charge, "Declined")) throw error;
    expect(error.cause.data.until).toEqual(until);
    expect(isStepError(error, charge, "Closed")).toBe(false);
    expect(isStepError(failed(new DeclaredError("Closed", undefined)), charge, "Closed")).toBe(true);
  });

  it("is not a declared error if its data does not fit, or it is another error of that code", () => {
    expect(isStepError(failed(new DeclaredError("Declined", { until: 5 })), charge, "Declined")).toBe(false);
    expect(isStepError(failed(Object.assign(new Error("x"), { code: "Declined" })), charge, "Declined")).toBe(false);
    expect(isStepError(failed(new DeclaredError("toString", 1)), charge, "toString" as "Closed")).toBe(false);
  });
});
