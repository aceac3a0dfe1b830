import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const main = (service: string) => fileURLToPath(new URL(`../../../services/${service}/src/main.ts`, import.meta.url));
const file = (name: string) => fileURLToPath(new URL(`${name}.ts`, import.meta.url));

export interface Started {
  readonly child: ChildProcess;
  /** What it said to be told from others by. */
  readonly line: string;
}

/** Coordinators, workers and clients, each in a process with an OpenTelemetry SDK of its own. */
export class Processes {
  readonly #env: Record<string, string>;
  readonly #children: ChildProcess[] = [];

  /** @param endpoint - Takes OTLP over HTTP, in JSON. */
  constructor(nats: string, namespace: string, endpoint: string) {
    this.#env = {
      NATS_URL: nats,
      STEPSTREAM_NAMESPACE: namespace,
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_BSP_SCHEDULE_DELAY: "100",
    };
  }

  /** @param modules - Files beside this one. */
  coordinator(modules: string, env = {}): Promise<Started> {
    return this.#run([main("coordinator"), file(modules)], " runs ", env);
  }

  worker(modules: string, env = {}): Promise<Started> {
    return this.#run([main("step-worker"), file(modules)], "is ready", env);
  }

  /** @returns Once it has said what came of it. */
  client(module: string, args: string[], env = {}): Promise<Started> {
    return this.#run([file(module), ...args], "result", env);
  }

  /** Resolves when the program has printed a line that holds `says`. */
  async #run(args: string[], says: string, env: Record<string, string>): Promise<Started> {
    const child = spawn(process.execPath, args, {
      env: { ...process.env, ...this.#env, ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#children.push(child);
    for await (const line of createInterface(child.stdout!)) {
      if (!line.includes(says)) continue;
      child.stdout!.resume();
      return { child, line };
    }
    throw new Error(`${args.at(-1)} ended without saying "${says}".`);
  }

  async end({ child }: Started, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
  }

  /** Ends what is left, in good order: spans not yet sent are sent. */
  async endAll(): Promise<void> {
    for (const child of this.#children) await this.end({ child, line: "" });
  }

  kill(): void {
    for (const child of this.#children) if (child.exitCode === null) child.kill("SIGKILL");
  }
}
