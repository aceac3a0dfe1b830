import { spawn } from "node:child_process";
import { StringDecoder } from "node:string_decoder";
import { ValidationError } from "@stepstream/contracts";
import { systemClock } from "@stepstream/event-log";
import type { gate, HandlerInput, HandlerOutput } from "@stepstream/sdk";
import type { StepContext } from "./shell/context.ts";

/**
 * Gates: commands for the shell of the worker's machine. Only for workers that call `gates()`, and only as
 * safe as whoever may start runs: a gate runs any command.
 *
 * Q1. Exit code 0 passes. Anything else, a signal or the time-out throws a ValidationError with what was printed.
 * Q2. The command and all it started are killed at its time-out and when its step is aborted.
 * Q3. Of each of stdout and stderr the last 64 KiB are kept.
 *
 * Checked elsewhere:
 *   Q1  test/e2e/worker.test.ts: does not pass with another, and is not tried again
 *   Q2  test/e2e/worker.test.ts: is killed with all it started at its time-out, and keeps what was printed by then
 *   Q3  gate.test.ts: keeps the last 64 KiB of what was printed
 */
export interface GateOptions {
  /** Where commands run that do not say. Default: the worker's working directory. */
  cwd?: string;
  /** Added to the worker's environment. */
  env?: Record<string, string>;
}

const KEPT_BYTES = 64 * 1024;
/** Between the polite signal and the other one. */
const KILL_AFTER_MS = 2_000;

export function gateHandler({ cwd, env }: GateOptions = {}) {
  return (input: HandlerInput<typeof gate>, ctx: StepContext<typeof gate>): Promise<HandlerOutput<typeof gate>> =>
    new Promise((resolve, reject) => {
      const { command, timeoutMs } = input;
      const startedAt = performance.now();
      const posix = process.platform !== "win32";
      const child = spawn(command, {
        shell: true,
        cwd: input.cwd ?? cwd,
        env: { ...process.env, ...env, ...input.env },
        stdio: ["ignore", "pipe", "pipe"],
        // A process group of its own, so that it can be killed with all its children.
        detached: posix,
      });
      const stdout = new Tail();
      const stderr = new Tail();
      child.stdout.on("data", (bytes: Buffer) => stdout.add(bytes));
      child.stderr.on("data", (bytes: Buffer) => stderr.add(bytes));

      let why: string | undefined;
      let harder: NodeJS.Timeout | undefined;
      const signal = (name: NodeJS.Signals) => {
        if (child.pid === undefined) return;
        try {
          if (posix) process.kill(-child.pid, name);
          else spawn("taskkill", ["/pid", String(child.pid), "/t", "/f"], { stdio: "ignore" });
        } catch {
          // It is gone already.
        }
      };
      const end = (because: string) => {
        if (why !== undefined) return;
        why = because;
        signal("SIGTERM");
        harder = setTimeout(() => signal("SIGKILL"), KILL_AFTER_MS);
      };
      const timer = systemClock.setTimeout(() => end(`killed after ${timeoutMs} ms`), timeoutMs);
      const onAbort = () => end("aborted");
      ctx.signal.addEventListener("abort", onAbort);
      if (ctx.signal.aborted) onAbort();

      const over = (exitCode: number | undefined, because: string | undefined) => {
        systemClock.clearTimeout(timer);
        clearTimeout(harder);
        ctx.signal.removeEventListener("abort", onAbort);
        if (ctx.signal.aborted && why === "aborted") return reject(ctx.signal.reason);
        const printed = { gate: input.gate, level: input.level, stdout: stdout.text(), stderr: stderr.text() };
        const fault = because ?? why;
        if (exitCode === 0 && fault === undefined)
          return resolve({ ...printed, durationMs: Math.round(performance.now() - startedAt) });
        reject(new ValidationError({ ...printed, command, exitCode: fault ? undefined : exitCode, why: fault }));
      };
      child.on("error", (error) => over(undefined, `it could not be started (${error.message})`));
      child.on("close", (code, killedBy) => {
        // Its shell has ended; what it left in the background has not.
        if (why !== undefined) signal("SIGKILL");
        over(code ?? undefined, why ?? (killedBy ? `ended by ${killedBy}` : undefined));
      });
    });
}

/** The last 64 KiB of a stream. */
class Tail {
  #chunks: Buffer[] = [];
  #bytes = 0;

  add(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    while (this.#bytes - this.#chunks[0]!.length >= KEPT_BYTES) this.#bytes -= this.#chunks.shift()!.length;
  }

  text(): string {
    const all = Buffer.concat(this.#chunks);
    let from = Math.max(0, all.length - KEPT_BYTES);
    // Not into the middle of a character.
    while (from > 0 && from < all.length && (all[from]! & 0xc0) === 0x80) from++;
    return new StringDecoder("utf8").end(all.subarray(from));
  }
}
