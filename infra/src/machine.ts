import { spawn } from "node:child_process";
import { cacheFolder } from "./cache.ts";

/** What the search for nats-server needs of the computer it runs on. Tests pass one of their own. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  /** As `process.arch` spells it: "x64", "arm64", … */
  readonly arch: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where fetched things are kept. See {@link cacheFolder}. */
  readonly cache: string;
  /**
   * Runs a command to its end, without a shell and without input.
   *
   * @returns What it printed to standard output.
   * @throws {Error} If it is missing, fails or takes too long; the message is one line.
   */
  run(command: string, args: readonly string[], options?: RunOptions): Promise<string>;
  /**
   * Fetches a file.
   *
   * @throws {Error} If the answer is anything but 200, or does not begin within 15 s or end within 5 min.
   */
  download(url: string): Promise<Uint8Array>;
}

interface RunOptions {
  /** Added to the environment of the command. */
  env?: Readonly<Record<string, string>>;
  /** Default: where this process is. */
  cwd?: string;
  /** Default: 10 s. After it the command is killed. */
  timeoutMs?: number;
}

// biome-ignore lint/style/noProcessEnv: the default of an argument: says what this machine is
export function thisMachine(env: Readonly<Record<string, string | undefined>> = process.env): Machine {
  return {
    platform: process.platform,
    arch: process.arch,
    env,
    cache: cacheFolder(env),
    run: (command, args, options) => run(env, command, args, options),
    download,
  };
}

function run(
  env: Machine["env"],
  command: string,
  args: readonly string[],
  { env: extra = {}, cwd, timeoutMs = 10_000 }: RunOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { ...env, ...extra },
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      windowsHide: true,
    });
    // Not spawn's own time-out: that one keeps the process alive after a command that is missing.
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.once("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(new Error(error.code === "ENOENT" ? `${command} is not installed` : error.message));
    });
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) return resolve(stdout);
      const how = signal ? `was ended by ${signal} (it has ${timeoutMs / 1000} s)` : `exited with ${code}`;
      reject(new Error(`${command} ${args[0] ?? ""} ${how}: ${lastLine(stderr) || lastLine(stdout) || "no output"}`));
    });
  });
}

async function download(url: string): Promise<Uint8Array> {
  const abort = new AbortController();
  const limit = (ms: number, message: string) => setTimeout(() => abort.abort(new Error(message)), ms);
  const begin = limit(15_000, "no answer within 15 s");
  const end = limit(300_000, "not complete within 5 min");
  try {
    const response = await fetch(url, { signal: abort.signal });
    clearTimeout(begin);
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new Error(`cannot fetch ${url}: ${rootMessage(error)}`, { cause: error });
  } finally {
    clearTimeout(begin);
    clearTimeout(end);
  }
}

function rootMessage(error: unknown): string {
  let root = error;
  while (root instanceof Error && root.cause !== undefined) root = root.cause;
  return root instanceof Error ? (lastLine(root.message) ?? root.name) : String(root);
}

function lastLine(text: string): string | undefined {
  return text.trim().split("\n").at(-1)?.trim();
}
