/**
 * Gates: commands that must end with exit code 0, one after the other, by level.
 *
 * G1. Gates run in the order of their levels; gates of one level in the order they were given.
 * G2. A gate that is manual, or has no command, is skipped and reported as skipped.
 * G3. The first gate that does not pass ends it: none after it is started.
 * G4. What is thrown then is the ValidationError itself, with all that the command has printed.
 *
 * Checked elsewhere:
 *   G1  gate.test.ts: (G1)
 *   G2  gate.test.ts: (G2)
 *   G3  gate.test.ts: (G3)
 *   G4  gate.test.ts: (G4)
 */

import {
  checkDuration,
  type Duration,
  durationMs,
  MAX_DURATION_MS,
  StepError,
  ValidationError,
} from "@stepstream/contracts";
import { z } from "zod";
import { type StepOutput, step } from "./step.ts";
import type { RunOptions, WorkflowContext } from "./workflow.ts";

/** A gate whose command takes longer has not passed, if it says nothing else. */
const DEFAULT_TIMEOUT: Duration = "5m";
const HOUR_MS = 3_600_000;
/** The time-out of the step, where no gate needs more. */
const STEP_MS = 24 * HOUR_MS;
const LIMITS = { min: 1, max: MAX_DURATION_MS - HOUR_MS };

/**
 * The built-in step behind every gate: a command for the shell of a worker that has the files at hand.
 *
 * A command that fails is not tried again (the same command on the same files fails the same way), but one
 * whose worker was lost is run again by another. Its worker throws a {@link ValidationError}.
 */
export const gate = step("gate", {
  input: z.strictObject({
    gate: z.string().min(1),
    level: z.number(),
    /** For the worker's shell. */
    command: z.string().min(1),
    /** Then the command and its children are killed and the gate has not passed. */
    timeoutMs: z.number().positive().default(durationMs(DEFAULT_TIMEOUT)),
    /** Default: the worker's own. */
    cwd: z.string().optional(),
    /** Set in the command's environment. */
    env: z.record(z.string(), z.string()).optional(),
    /** Names of the worker's variables that the command gets. */
    passEnv: z.array(z.string().min(1)).optional(),
  }),
  output: z.object({
    gate: z.string(),
    level: z.number(),
    durationMs: z.number(),
    stdout: z.string(),
    stderr: z.string(),
  }),
  retry: { maxAttempts: 1 },
  // The command's own time-out is what counts: it keeps what was printed.
  timeout: { attempt: STEP_MS, total: STEP_MS },
});

/** What to check, and when in the order of checks. */
export interface GateSpec {
  name: string;
  /** Lower levels first. */
  level: number;
  /** For the worker's shell. Without one the gate is skipped. */
  command?: string | undefined;
  /** A person does it: the gate is skipped. */
  manual?: boolean | undefined;
  /** Default "5m". */
  timeout?: Duration | undefined;
  /** Where the command runs. Default: the worker's working directory. */
  cwd?: string | undefined;
  /** Set in the command's environment. It is part of the run's history: name secrets in `passEnv` instead. */
  env?: Record<string, string> | undefined;
  /**
   * Names of variables of the worker's environment that the command gets, e.g. `["NPM_TOKEN"]`. Without them it gets only what
   * programs need: PATH, HOME, the language, the time zone and the like.
   */
  passEnv?: string[] | undefined;
}

export type GateResult =
  | ({ status: "passed" } & StepOutput<typeof gate>)
  | { status: "skipped"; gate: string; level: number; why: "manual" | "no command" };

/**
 * Runs gates one after the other until all have passed or one has not.
 *
 * @returns One result per gate, in the order in which they ran.
 * @throws {ValidationError} The first gate that did not pass; `detail` says in which slot of which run.
 * @example await runGates(w, [{ name: "types", level: 1, command: "tsc" }, { name: "sign-off", level: 9, manual: true }]);
 */
export async function runGates(w: Pick<WorkflowContext, "run">, gates: readonly GateSpec[]): Promise<GateResult[]> {
  const results: GateResult[] = [];
  for (const spec of byLevel(gates)) results.push(await runGate(w, spec));
  return results;
}

/** A stable sort: gates of one level keep their order. */
export function byLevel<G extends { level: number }>(gates: readonly G[]): G[] {
  return gates.toSorted((a, b) => a.level - b.level);
}

/** One gate of {@link runGates}. */
export async function runGate(w: Pick<WorkflowContext, "run">, spec: GateSpec): Promise<GateResult> {
  const { name, level, command, manual, timeout, cwd, env, passEnv } = spec;
  if (manual) return { status: "skipped", gate: name, level, why: "manual" };
  if (!command) return { status: "skipped", gate: name, level, why: "no command" };
  try {
    const timeoutMs = timeout === undefined ? undefined : checkDuration(`timeout of gate "${name}"`, timeout, LIMITS);
    const input = {
      gate: name,
      level,
      command,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(cwd === undefined ? {} : { cwd }),
      ...(env === undefined ? {} : { env }),
      ...(passEnv === undefined ? {} : { passEnv }),
    };
    const passed = await w.run(gate, input, stepTimeout(timeoutMs));
    return { status: "passed", ...passed };
  } catch (error) {
    throw error instanceof StepError && error.cause instanceof ValidationError ? unwrap(error, error.cause) : error;
  }
}

/** The step's own time-out must not come before the command's: only that keeps what was printed. */
function stepTimeout(timeoutMs = 0): RunOptions | undefined {
  if (timeoutMs + HOUR_MS <= STEP_MS) return undefined;
  const ms = timeoutMs + HOUR_MS;
  return { timeout: { attempt: ms, total: ms } };
}

/** The ValidationError, which now also knows where in the run it happened. */
function unwrap(error: StepError, cause: ValidationError): ValidationError {
  return Object.assign(cause, { detail: { ...error.detail, ...cause.detail } });
}
