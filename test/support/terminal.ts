/**
 * A real terminal for tests: runs a command on a pseudo-terminal and reads the screen.
 *
 * The pseudo-terminal is that of `script` (util-linux), which every Linux has; xterm's emulator makes of the bytes what a
 * person would see. Elsewhere there is none, and tests say so: `describe.skipIf(noTerminal)`.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import xterm from "@xterm/headless";

export interface Terminal {
  /** What is to be seen: `rows` lines, without the spaces at their ends. */
  screen(): string;
  /** The same, and what has scrolled out of it. */
  everything(): string;
  /** Types on the keyboard: "\x03" is Ctrl-C. */
  type(keys: string): void;
  /**
   * Resolves once it is to be seen, or has been and has scrolled away.
   *
   * @param timeoutMs - Default 20,000.
   * @returns The match.
   * @throws {Error} It is not, in this time, or the command has ended; with what is on the screen.
   */
  until(what: string | RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
  /** The command's exit code; 128 + n if signal n ended it. */
  readonly exited: Promise<number>;
  /** Ends the command, if it has not, as if the terminal's window were closed. */
  close(): Promise<void>;
}

export interface TerminalOptions {
  cwd?: string;
  env?: Readonly<Record<string, string | undefined>>;
  /** Default 100. */
  columns?: number;
  /** Default 30. */
  rows?: number;
}

/** Why there is no pseudo-terminal here; undefined where there is one. */
export const noTerminal = why();
if (noTerminal) console.error(`!!! Tests in a terminal are NOT run: ${noTerminal}`);

function why(): string | undefined {
  if (process.platform !== "linux") return `they need script(1) of util-linux, and this is ${process.platform}.`;
  try {
    const version = execFileSync("script", ["--version"], { encoding: "utf8" });
    return version.includes("util-linux") ? undefined : `they need script(1) of util-linux, not "${version.trim()}".`;
  } catch {
    return "there is no script(1); it comes with util-linux.";
  }
}

/** Runs a command in a terminal of its own. @throws {Error} Where there is none: see {@link noTerminal}. */
export function openTerminal(command: string, args: readonly string[], options: TerminalOptions = {}): Terminal {
  if (noTerminal) throw new Error(noTerminal);
  const { cwd, env = process.env, columns = 100, rows = 30 } = options;
  const emulator = new xterm.Terminal({ cols: columns, rows, scrollback: 5_000, allowProposedApi: true });
  const line = [`stty cols ${columns} rows ${rows}; exec`, ...[command, ...args].map(quoted)].join(" ");
  const child = spawn("script", ["--quiet", "--flush", "--return", "--command", line, "/dev/null"], {
    cwd,
    env: { ...env, TERM: "xterm-256color", SHELL: "/bin/sh" } as NodeJS.ProcessEnv,
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.on("error", () => {}); // typed after its end
  let seen = () => {};
  child.stdout.on("data", (bytes: Buffer) => emulator.write(bytes, () => seen()));
  let over = false;
  const exited = once(child, "close").then(async ([code, signal]) => {
    await new Promise<void>((resolve) => emulator.write("", resolve));
    over = true;
    seen();
    return code ?? 128 + (signal === "SIGKILL" ? 9 : 15);
  });

  function lines(from: number): string {
    const buffer = emulator.buffer.active;
    const all = Array.from({ length: buffer.length - from }, (_, at) =>
      buffer.getLine(from + at)!.translateToString(true),
    );
    return all.join("\n").trimEnd();
  }
  const screen = () => lines(emulator.buffer.active.baseY);
  const everything = () => lines(0);

  return {
    screen,
    everything,
    type: (keys) => void child.stdin.write(keys),
    async until(what, timeoutMs = 20_000) {
      const pattern = typeof what === "string" ? new RegExp(what.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")) : what;
      const found = Promise.withResolvers<RegExpExecArray>();
      const fail = (why: string) =>
        found.reject(new Error(`${why}: ${pattern} is not on the screen:\n${everything()}`));
      const look = () => {
        const match = pattern.exec(everything());
        if (match) found.resolve(match);
        else if (over) fail("It has ended");
      };
      const timer = setTimeout(() => fail(`After ${timeoutMs} ms`), timeoutMs);
      const before = seen;
      seen = () => {
        before();
        look();
      };
      look();
      try {
        return await found.promise;
      } finally {
        clearTimeout(timer);
        seen = before;
      }
    },
    exited,
    async close() {
      child.kill("SIGHUP");
      await exited;
    },
  };
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
