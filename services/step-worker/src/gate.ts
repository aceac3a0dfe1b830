import { spawn } from "node:child_process";
import { ValidationError } from "@stepstream/contracts";
import type { gate } from "@stepstream/sdk";
import type { Handler } from "./shell/handling.ts";

const KEPT_BYTES = 64 * 1024;

export interface GateOptions {
  /** Where commands run that name no folder of their own. Default: the process' working directory. */
  cwd?: string;
}

/**
 * Runs a gate's command in a shell, and all that it starts in a process group of its own, so that nothing
 * outlives its time-out or a cancel. Keeps the last 64 KiB of standard output and of standard error.
 *
 * @throws {ValidationError} The command did not end with 0, or not in time. Final: the same command on the
 *   same files fails the same way.
 */
export function runGate({ cwd }: GateOptions = {}): Handler<typeof gate> {
  return (input, { signal }) =>
    new Promise((resolve, reject) => {
      const startedAt = performance.now();
      const child = spawn(input.command, {
        shell: true,
        detached: process.platform !== "win32",
        stdio: ["ignore", "pipe", "pipe"],
        cwd: input.cwd ?? cwd,
        env: { ...process.env, ...input.env },
      });
      const stdout = tail(child.stdout);
      const stderr = tail(child.stderr);
      let why: string | undefined;
      const end = (reason: string) => {
        why ??= reason;
        killGroup(child.pid);
      };
      const onAbort = () => end(`aborted: ${(signal.reason as Error)?.message ?? "no reason given"}`);
      signal.addEventListener("abort", onAbort, { once: true });
      const timer = setTimeout(() => end(`not done within ${input.timeoutMs} ms`), input.timeoutMs);
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
      };
      const { gate: name, level, command } = input;
      child.once("error", (error) => {
        done();
        reject(
          new ValidationError({ gate: name, level, command, stdout: stdout(), stderr: stderr(), why: error.message }),
        );
      });
      child.once("close", (code, killedBy) => {
        done();
        if (signal.aborted) return reject(signal.reason);
        const durationMs = Math.round(performance.now() - startedAt);
        if (code === 0 && !why) return resolve({ gate: name, level, durationMs, stdout: stdout(), stderr: stderr() });
        const reason = why ?? (killedBy ? `ended by ${killedBy}` : undefined);
        reject(
          new ValidationError({
            gate: name,
            level,
            command,
            exitCode: code ?? undefined,
            stdout: stdout(),
            stderr: stderr(),
            why: reason,
          }),
        );
      });
    });
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(process.platform === "win32" ? pid : -pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** Keeps the end of what a stream says. */
function tail(stream: NodeJS.ReadableStream): () => string {
  let kept = Buffer.alloc(0);
  stream.on("data", (chunk: Buffer) => {
    kept = Buffer.concat([kept, chunk]).subarray(-KEPT_BYTES);
  });
  return () => kept.toString("utf8");
}
