import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { statSync } from "node:fs";
import { resolve as absolute } from "node:path";
import { ValidationError } from "@stepstream/contracts";
import { systemClock } from "@stepstream/event-log";
import type { gate, HandlerInput, HandlerOutput } from "@stepstream/sdk";
import type { StepContext } from "../shell/context.ts";
import { environmentOf } from "./environment.ts";
import { GateProcesses, MARK } from "./processes.ts";
import { Tail } from "./tail.ts";

/**
 * Gates: commands for the shell of the worker's machine. Only for workers that call `gates()`, and only as
 * safe as whoever may start runs: a gate runs any command.
 *
 * Q1. Exit code 0 passes. Anything else, a signal or the time-out throws a ValidationError with what was printed.
 * Q2. The command and all it started are killed at its time-out and when its step is aborted, in its process group or not.
 * Q3. Of each of stdout and stderr the last 64 KiB are kept. A command that prints more than 100 MB is killed.
 * Q4. A command gets the variables that programs need, those that its gate and `gates()` name, and no others.
 * Q5. A working directory that is not there is named.
 *
 * Checked elsewhere:
 *   Q1  test/e2e/worker.test.ts: does not pass with another, and is not tried again
 *   Q2  handler.test.ts: kills what has left its process group
 *   Q3  handler.test.ts: keeps the last 64 KiB of what was printed
 *   Q4  handler.test.ts: gets no variables but those that programs need and those that are named
 *   Q5  handler.test.ts: names a working directory that is not there
 */
export interface GateOptions {
  /** Where commands run that do not say. Default: the worker's working directory. */
  cwd?: string;
  /** Set in the environment of each command. */
  env?: Record<string, string>;
  /**
   * Names of the worker's variables that each command gets, besides those that programs need (PATH, HOME, the language, the
   * time zone and the like). Default: none.
   */
  passEnv?: string[];
}

/** More output than this is a command gone wrong: to read it costs the worker's other steps their time. */
const PRINTED_MAX_BYTES = 100_000_000;
/** Between the polite signal and the other one. */
const KILL_AFTER_MS = 2_000;
/** After that what is left cannot be killed, and is not waited for. */
const LEAVE_AFTER_MS = 1_000;

export function gateHandler(options: GateOptions = {}) {
  return (input: HandlerInput<typeof gate>, ctx: StepContext<typeof gate>): Promise<HandlerOutput<typeof gate>> =>
    new Promise((resolve, reject) => {
      const { command, timeoutMs } = input;
      const startedAt = performance.now();
      const cwd = input.cwd ?? options.cwd;
      const { gate, level } = input;
      if (cwd !== undefined && !statSync(cwd, { throwIfNoEntry: false })?.isDirectory()) {
        const why = `it was not started: its working directory ${absolute(cwd)} is not there, or is not a directory`;
        return reject(new ValidationError({ gate, level, command, stdout: "", stderr: "", why }));
      }
      const mark = randomUUID();
      const names = [...(options.passEnv ?? []), ...(input.passEnv ?? [])];
      const child = spawn(command, {
        shell: true,
        cwd,
        // biome-ignore lint/style/noProcessEnv: not read, but passed on: a command gets the variables of its worker (Q4)
        env: environmentOf(process.env, names, options.env, input.env, { [MARK]: mark }),
        stdio: ["ignore", "pipe", "pipe"],
        // A process group of its own, so that it can be killed with all its children.
        detached: process.platform !== "win32",
      });
      const processes = child.pid === undefined ? undefined : new GateProcesses(child.pid, mark);

      let why: string | undefined;
      let next: NodeJS.Timeout | undefined;
      const end = (because: string) => {
        if (why !== undefined) return;
        why = because;
        processes?.signal("SIGTERM");
        next = setTimeout(() => {
          processes?.signal("SIGKILL");
          next = setTimeout(() => over(undefined, why), LEAVE_AFTER_MS);
        }, KILL_AFTER_MS);
      };
      const timer = systemClock.setTimeout(() => end(`killed after ${timeoutMs} ms`), timeoutMs);
      const onAbort = () => end("aborted");
      ctx.signal.addEventListener("abort", onAbort);
      if (ctx.signal.aborted) onAbort();

      let left = PRINTED_MAX_BYTES;
      const kept = (stream: NodeJS.ReadableStream) => {
        const tail = new Tail();
        stream.on("data", (bytes: Buffer) => {
          tail.add(bytes);
          left -= bytes.length;
          if (left > 0) return;
          end(`killed, it printed more than ${PRINTED_MAX_BYTES / 1_000_000} MB`);
          child.stdout.destroy();
          child.stderr.destroy();
        });
        return tail;
      };
      const stdout = kept(child.stdout);
      const stderr = kept(child.stderr);

      const over = (exitCode: number | undefined, because: string | undefined) => {
        systemClock.clearTimeout(timer);
        clearTimeout(next);
        ctx.signal.removeEventListener("abort", onAbort);
        // What could not be killed may still print.
        child.stdout.destroy();
        child.stderr.destroy();
        if (ctx.signal.aborted && why === "aborted") return reject(ctx.signal.reason);
        const printed = { gate, level, stdout: stdout.text(), stderr: stderr.text() };
        const fault = because ?? why;
        if (exitCode === 0 && fault === undefined)
          return resolve({ ...printed, durationMs: Math.round(performance.now() - startedAt) });
        reject(new ValidationError({ ...printed, command, exitCode: fault ? undefined : exitCode, why: fault }));
      };
      child.on("error", (error) => over(undefined, `it could not be started (${error.message})`));
      child.on("close", (code, killedBy) => {
        // Its shell has ended; what it left in the background has not.
        if (why !== undefined) processes?.signal("SIGKILL");
        over(code ?? undefined, why ?? (killedBy ? `ended by ${killedBy}` : undefined));
      });
    });
}
