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
  /** All lines that it has printed by now. */
  readonly said: readonly string[];
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

  /** Both, of which nothing is heard but trouble. */
  async quiet(workflows: string, handlers: string): Promise<{ coordinator: Started; worker: Started }> {
    const start = (service: string, module: string) => this.#start([main(service), file(module), "--quiet"], {});
    const [coordinator, worker] = [start("coordinator", workflows), start("step-worker", handlers)];
    for (const { child } of [coordinator, worker]) await once(child, "message");
    return { coordinator: { ...coordinator, line: "" }, worker: { ...worker, line: "" } };
  }

  /** Resolves when the program has printed a line that holds `says`. */
  async #run(args: string[], says: string, env: Record<string, string>): Promise<Started> {
    const { child, said, reader } = this.#start(args, env);
    return new Promise((resolve, reject) => {
      reader.on("line", (line) => line.includes(says) && resolve({ child, line, said }));
      reader.on("close", () => reject(new Error(`${args.at(-1)} ended without saying "${says}".`)));
    });
  }

  #start(args: string[], env: Record<string, string>) {
    const child = spawn(process.execPath, args, {
      env: { ...process.env, ...this.#env, ...env },
      stdio: ["ignore", "pipe", "inherit", "ipc"],
    });
    this.#children.push(child);
    const said: string[] = [];
    const reader = createInterface(child.stdout!).on("line", (line) => said.push(line));
    return { child, said, reader };
  }

  /** Resolves when it is gone, and all that it has printed is read. */
  async end({ child }: Pick<Started, "child">, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "close");
    child.kill(signal);
    await gone;
  }

  /** Ends what is left, in good order: spans not yet sent are sent. */
  async endAll(): Promise<void> {
    for (const child of this.#children) await this.end({ child });
  }

  kill(): void {
    for (const child of this.#children) if (child.exitCode === null) child.kill("SIGKILL");
  }
}
