import { StepError, ValidationError } from "@stepstream/contracts";
import { describe, expect, it } from "vitest";
import { type GateSpec, gate, runGates } from "./gate.ts";
import type { AnyStep, StepInput } from "./step.ts";
import type { WorkflowContext } from "./workflow.ts";

/** A worker for gates: passes each command but "no", which fails as the real one does. */
function shell() {
  const ran: string[] = [];
  const run = async (_step: AnyStep, input: StepInput<typeof gate>) => {
    ran.push(input.command);
    if (input.command !== "no") return { gate: input.gate, level: input.level, durationMs: 1, stdout: "", stderr: "" };
    const fault = new ValidationError({ ...input, exitCode: 2, stdout: "printed", stderr: "complained" });
    throw new StepError({ run: "r1", step: "gate", slot: 7, attempt: 1 }, input, fault);
  };
  return { ran, w: { run } as unknown as Pick<WorkflowContext, "run"> };
}

const g = (name: string, level: number, more: Partial<GateSpec> = { command: name }): GateSpec => ({
  name,
  level,
  ...more,
});

describe("gates", () => {
  it("run by level, those of one level in the order given (G1)", async () => {
    const { ran, w } = shell();
    await runGates(w, [g("c", 3), g("a1", 1), g("b", 2), g("a2", 1)]);
    expect(ran).toEqual(["a1", "a2", "b", "c"]);
  });

  it("are skipped, and say so, where manual or without a command (G2)", async () => {
    const { ran, w } = shell();
    const results = await runGates(w, [g("by hand", 1, { command: "x", manual: true }), g("empty", 2, {}), g("z", 3)]);
    expect(results.map((r) => (r.status === "skipped" ? r.why : r.status))).toEqual(["manual", "no command", "passed"]);
    expect(ran).toEqual(["z"]);
  });

  it("stop at the first that does not pass (G3), which throws its own error (G4)", async () => {
    const { ran, w } = shell();
    const failure = await runGates(w, [g("c", 3), g("bad", 2, { command: "no" }), g("a", 1)]).catch((e) => e);
    expect(ran).toEqual(["a", "no"]);
    expect(failure).toBeInstanceOf(ValidationError);
    expect(failure).toMatchObject({ gate: "bad", level: 2, command: "no", exitCode: 2, stdout: "printed" });
    expect(failure.detail).toEqual({
      gate: "bad",
      level: 2,
      exitCode: 2,
      run: "r1",
      step: "gate",
      slot: 7,
      attempt: 1,
    });
  });

  it("fails with any other error as it is", async () => {
    const lost = new StepError({ run: "r1", step: "gate", slot: 1, attempt: 1 }, {}, new Error("worker lost"));
    const w = { run: () => Promise.reject(lost) } as unknown as WorkflowContext;
    await expect(runGates(w, [g("a", 1)])).rejects.toBe(lost);
  });

  it("refuses what it does not know", () => {
    const fine = { gate: "a", level: 1, command: "true" };
    expect(gate.input.safeParse(fine).success).toBe(true);
    expect(gate.input.safeParse({ ...fine, timeout: 5 }).success).toBe(false);
  });
});
