/**
 * Fix and retry: check, and while a check fails and tries are left, repair what it named and check again.
 */

import { exponential, type GateSpec, runGates, step, ValidationError, workflow } from "@stepstream/sdk";
import { z } from "zod";

/** One problem repaired. Says what was done, for the report. */
const Fix = z.object({ gate: z.string(), file: z.string(), what: z.string() });

export const fix = step("fix", {
  input: z.object({ folder: z.string(), gate: z.string(), stdout: z.string(), stderr: z.string() }),
  output: Fix,
  errors: { NoFixKnown: z.object({ gate: z.string() }) },
  retry: { maxAttempts: 2 },
  timeout: { attempt: "30s" },
});

/** What a change has to pass, cheapest first. The tools are those of this workspace. */
export function gatesOf(folder: string): GateSpec[] {
  const cwd = folder;
  return [
    { name: "unit tests", level: 3, command: 'node --test "src/**/*.spec.ts"', timeout: "1m", cwd },
    { name: "types", level: 1, command: "node node_modules/typescript/bin/tsc -p .", timeout: "1m", cwd },
    { name: "lint", level: 2, command: "node node_modules/@biomejs/biome/bin/biome lint src", timeout: "1m", cwd },
    { name: "sign-off", level: 4, manual: true },
  ];
}

export const fixAndRetry = workflow(
  "fix-and-retry",
  {
    input: z.object({ folder: z.string(), attempts: z.int().min(1) }),
    output: z.object({
      gates: z.array(z.object({ gate: z.string(), status: z.enum(["passed", "skipped"]) })),
      fixes: z.array(Fix),
    }),
  },
  async ({ folder, attempts }, w) => {
    const fixes: z.infer<typeof Fix>[] = [];
    const gates = await w.repeatUntil(
      (attempt) => {
        w.progress({ step: attempt - 1, total: attempts, name: `check ${attempt}` });
        return runGates(w, gatesOf(folder));
      },
      async (failure) => {
        if (!(failure instanceof ValidationError)) throw failure;
        const { gate, stdout, stderr } = failure;
        fixes.push(await w.run(fix, { folder, gate, stdout, stderr }));
      },
      { maxAttempts: attempts, backoff: exponential({ initial: "100ms", factor: 2, max: "2s", jitter: "none" }) },
    );
    return { gates: gates.map(({ gate, status }) => ({ gate, status })), fixes };
  },
);
