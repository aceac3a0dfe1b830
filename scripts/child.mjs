import { spawn } from "node:child_process";
import { constants } from "node:os";

/** Says what happens, on standard error, so that a task's own output stays clean. @param {string} line */
export function tell(line) {
  console.error(`stepstream: ${line}`);
}

/** @param {number} begin - As `Date.now()` gave it. @returns e.g. "1.4 s" */
export function seconds(begin) {
  return `${((Date.now() - begin) / 1000).toFixed(1)} s`;
}

/**
 * Runs a command with our terminal, hands on the signals that we are sent, and waits for its end.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {import("node:child_process").SpawnOptions} [options]
 * @param {(text: string) => unknown} [hear] - Takes what it writes, instead of the terminal.
 * @returns {Promise<number>} Its exit code; 128 + n when signal n ended it, as a shell has it.
 */
export function runChild(command, args, options = {}, hear = undefined) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: hear ? ["ignore", "pipe", "pipe"] : "inherit", ...options });
    for (const stream of hear ? [child.stdout, child.stderr] : []) stream?.setEncoding("utf8").on("data", hear);
    /** @param {NodeJS.Signals} signal */
    const forward = (signal) => {
      // Ctrl-C in a terminal reaches the child by itself; a second one may mean "at once" to it.
      if (signal === "SIGINT" && process.stdin.isTTY) return;
      child.kill(signal);
    };
    const signals = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]);
    for (const signal of signals) process.on(signal, forward);
    const done = () => {
      for (const signal of signals) process.off(signal, forward);
    };
    child.once("error", (error) => {
      done();
      reject(new Error(`Cannot run ${command}: ${error.message}`));
    });
    child.once(hear ? "close" : "exit", (code, signal) => {
      done();
      resolve(code ?? 128 + (signal ? constants.signals[signal] : 0));
    });
  });
}

/**
 * Runs a command and gathers what it writes to standard output; the rest goes to our standard error.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {import("node:child_process").SpawnOptions} [options]
 * @returns {Promise<string>}
 * @throws {Error} If it cannot be run or fails. Its own words are on standard error by then.
 */
export function outputOf(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout?.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${command} ${args.join(" ")} failed with exit code ${code}.`));
    });
  });
}
