import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const main = (service: string) => fileURLToPath(new URL(`../../../services/${service}/src/main.ts`, import.meta.url));
const ERRANDS = fileURLToPath(new URL("errands.ts", import.meta.url));

/** A coordinator's or worker's program, and what it has logged. */
export class Program {
  readonly child: ChildProcess;
  readonly #name: string;
  #text = "";
  #looking: (() => void)[] = [];

  constructor(
    service: "coordinator" | "step-worker",
    env: Record<string, string>,
    args: readonly string[] = [],
    module = ERRANDS,
  ) {
    this.#name = service;
    this.child = spawn(process.execPath, [main(service), module, ...args], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.child.stdout!, this.child.stderr!])
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.#text += text;
        for (const look of this.#looking.splice(0)) look();
      });
    this.child.on("close", () => {
      for (const look of this.#looking.splice(0)) look();
    });
  }

  /** How much it has logged, in bytes. */
  get bytes(): number {
    return Buffer.byteLength(this.#text);
  }

  /** All that it has written to standard output and standard error. */
  get text(): string {
    return this.#text;
  }

  /** The lines that it has logged, as JSON. */
  get lines(): Record<string, any>[] {
    return this.#text
      .split("\n")
      .slice(0, -1)
      .flatMap((line) => (line.startsWith("{") ? [JSON.parse(line)] : []));
  }

  /** Resolves with the first line whose message matches, also one logged already. */
  async says(what: RegExp, from = 0): Promise<Record<string, any>> {
    for (;;) {
      const line = this.lines.slice(from).find(({ msg }) => what.test(msg));
      if (line) return line;
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw new Error(`${this.#name} ended without saying ${what}:\n${this.#text}`);
      await new Promise<void>((resolve) => this.#looking.push(resolve));
    }
  }

  /** Resolves with its exit code, once it is gone by itself and all that it has logged is read. */
  get ended(): Promise<number | null> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return Promise.resolve(this.child.exitCode);
    return once(this.child, "close").then(() => this.child.exitCode);
  }

  /** Ends it, and resolves when it is gone and all that it has logged is read. @returns Its exit code. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const closed = once(this.child, "close");
      this.child.kill(signal);
      await closed;
    }
    return this.child.exitCode;
  }
}
