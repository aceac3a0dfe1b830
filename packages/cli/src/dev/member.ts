import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { tellReaper } from "@stepstream/infra";

export interface MemberOptions {
  /** What Node.js runs, and with which arguments. */
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What it prints, a line at a time. */
  onLine(line: string, from: "out" | "err"): void;
  /** What becomes of it. */
  onNews(text: string): void;
  /** A file that it is made of, before it is loaded. */
  onFile(file: string): void;
}

/** How long a process may take to end after SIGTERM. A worker gives running attempts 2 s to end, and 5 s to clean up. */
const GRACE_MS = 15_000;
/** One that ends by itself is started again after so long. */
const AGAIN_MS = 1_000;

const PRELOAD = new URL(`./report-imports${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);

/**
 * One process of `stepstream dev`, kept alive.
 *
 * M1. There is at most one process at a time: the next starts when the one before has ended.
 * M2. A change ends it by SIGTERM, so that it hands its work over, and starts it again.
 * M3. One that ends before it was ready waits for a change; one that ends later is started again by itself.
 * M4. Its process group is killed if this process is, and with it what its handlers have started.
 */
export class Member {
  /** What it is made of; while it starts, also what it was made of before. */
  #files = new Set<string>();
  readonly #options: MemberOptions;
  #stopping = false;
  #changed = Promise.withResolvers<void>();
  #settled = Promise.withResolvers<boolean>();
  #life: Promise<void> | undefined;

  constructor(options: MemberOptions) {
    this.#options = options;
  }

  /** Starts it. @returns Whether it was ready at the first try. */
  start(): Promise<boolean> {
    this.#life ??= this.#live();
    return this.#settled.promise;
  }

  /** Starts it anew, if it is made of one of these files. @returns Whether it is. */
  change(files: readonly string[]): boolean {
    const concerned = files.some((file) => this.#files.has(file));
    if (concerned) this.#changed.resolve();
    return concerned;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#changed.resolve();
    await this.#life;
  }

  async #live(): Promise<void> {
    while (!this.#stopping) {
      this.#changed = Promise.withResolvers<void>();
      const wasReady = await this.#once();
      if (this.#stopping) return;
      if (wasReady === "changed") continue;
      if (wasReady) this.#options.onNews(`starts again in ${AGAIN_MS / 1_000} s`);
      else this.#options.onNews("waits for a change");
      await Promise.race([this.#changed.promise, ...(wasReady ? [sleep(AGAIN_MS)] : [])]);
    }
  }

  /** One life of it. @returns Whether it had been ready when it ended by itself; "changed" if we ended it. */
  async #once(): Promise<boolean | "changed"> {
    const { program, args, cwd, env, onLine, onNews, onFile } = this.#options;
    const files = new Set<string>();
    let ready = false;
    const child = spawn(process.execPath, ["--import", PRELOAD.href, program, ...args], {
      cwd,
      env: env as NodeJS.ProcessEnv,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      detached: process.platform !== "win32", // Ctrl-C is for us, who end things in their order
      windowsHide: true,
    });
    const group = process.platform === "win32" ? child.pid : -child.pid!;
    tellReaper(`+${group}`);
    const printed = [
      drained(child.stdout!, (line) => onLine(line, "out")),
      drained(child.stderr!, (line) => onLine(line, "err")),
    ];
    child.on("message", (message: "ready" | { file: string }) => {
      if (message === "ready") {
        ready = true;
        this.#files = files;
        this.#settled.resolve(true);
      } else {
        files.add(message.file);
        this.#files.add(message.file);
        onFile(message.file);
      }
    });
    const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
    const changed = this.#changed.promise.then(() => "changed" as const);
    let outcome = await Promise.race([exited, changed]);
    const byUs = outcome === "changed";
    if (outcome === "changed") {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
      outcome = await exited;
      clearTimeout(timer);
    }
    tellReaper(`-${group}`);
    await Promise.race([Promise.all(printed), sleep(200)]); // what it has started may hold its output open
    this.#settled.resolve(false);
    if (byUs) return "changed";
    const [code, signal] = outcome as [number | null, NodeJS.Signals | null];
    if (ready) onNews(`ended ${signal ? `by ${signal}` : `with exit code ${code}`}`);
    return ready;
  }
}

async function drained(stream: NodeJS.ReadableStream, onLine: (line: string) => void): Promise<void> {
  for await (const line of createInterface({ input: stream })) onLine(line);
}
