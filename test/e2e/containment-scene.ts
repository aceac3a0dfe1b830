/**
 * The test bed for containment: two coordinators in processes of their own, six bystander runs in progress, a worker,
 * and a client that cancels, terminates and deletes.
 *
 * "Contained" means: the bystanders end in normal time, both coordinators stay up, and the faulty run is failed or
 * parked with a message that names the cause, and it can be shown, cancelled, terminated and deleted, before and after
 * a restart of everything.
 *
 *   const scene = new ContainmentScene(server, namespace, ["programs/contained/loops.ts"], (worker) => worker);
 *   await scene.open();
 *   await scene.client.start(endless, {}, { id: "bad" });
 *   await scene.isParked("bad", /cause.*loops\.ts:12/);
 *   await scene.othersAreWell();
 *   await scene.restart();
 *   await scene.isParked("bad", /cause/);
 *   await scene.canBeRemoved("bad");
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { type AnyWorkflow, type Client, connect, type RunHandle, type RunStatus } from "@stepstream/sdk";
import { createWorker, type Worker } from "@stepstream/step-worker";
import { expect } from "vitest";
import { cli, type Ran } from "../cli/scene.ts";
import type { TestServer } from "../support/nats.ts";
import { planted } from "../support/planted.ts";
import { bystander, tick } from "./programs/contained/bystander.ts";

const MAIN = fileURLToPath(new URL("../../services/coordinator/src/main.ts", import.meta.url));
const IMPATIENT = fileURLToPath(new URL("programs/contained/coordinator.ts", import.meta.url));
const BYSTANDER = fileURLToPath(new URL("programs/contained/bystander.ts", import.meta.url));

const COORDINATORS = 2;
const BYSTANDERS = 6;
/** A bystander that is told to finish has two messages left to handle. */
export const NORMAL_MS = 15_000;

export class ContainmentScene {
  client!: Client;
  log!: EventLog;
  readonly coordinators: CoordinatorProcess[] = [];
  readonly namespace: string;
  readonly #server: TestServer;
  readonly #modules: string[];
  readonly #handlers: (worker: Worker) => Worker;
  readonly #planted: ReturnType<typeof planted>;
  readonly #stallMs: number | undefined;
  #worker!: Worker;
  #bystanders: RunHandle[] = [];
  #started = 0;

  /**
   * @param modules - Files with faulty workflows, beside this one.
   * @param handlers - Handlers for the steps of those.
   * @param more - `faults` of the coordinators themselves; `stallMs`, after which they stop code (default: the program that
   *   people run, with its default).
   */
  constructor(
    server: TestServer,
    namespace: string,
    modules: readonly string[],
    handlers: (worker: Worker) => Worker = (worker) => worker,
    { faults = [], stallMs }: { faults?: Parameters<typeof planted>[0]; stallMs?: number } = {},
  ) {
    this.#planted = planted(faults);
    this.#server = server;
    this.namespace = namespace;
    this.#modules = modules.map((module) => fileURLToPath(new URL(module, import.meta.url)));
    this.#handlers = handlers;
    this.#stallMs = stallMs;
  }

  async open(): Promise<void> {
    this.log = await connectEventLog({ nats: this.#server.url, namespace: this.namespace, partitions: 4 });
    this.client = await connect({ log: this.log });
    await this.#openWorker();
    await this.#openCoordinators();
    await this.startBystanders();
  }

  async #openWorker(): Promise<void> {
    const logger = { info() {}, warn() {}, error() {} };
    const worker = createWorker({ nats: this.#server.url, namespace: this.namespace, logger });
    this.#worker = await this.#handlers(worker.handle(tick, async (n) => n + 1)).start();
  }

  async #openCoordinators(): Promise<void> {
    const starting = Array.from({ length: COORDINATORS }, () => this.#openCoordinator());
    this.coordinators.push(...(await Promise.all(starting)));
  }

  async #openCoordinator(): Promise<CoordinatorProcess> {
    const { args, env: more } = this.#planted;
    const env = { ...process.env, ...more, NATS_URL: this.#server.url, STEPSTREAM_NAMESPACE: this.namespace };
    const program = this.#stallMs === undefined ? [MAIN, "--log-format", "json", "--log-level", "info"] : [IMPATIENT];
    const child = spawn(process.execPath, [...args, ...program, BYSTANDER, ...this.#modules], {
      env: { ...env, STALL_MS: String(this.#stallMs) },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const coordinator = new CoordinatorProcess(child);
    await coordinator.ready;
    return coordinator;
  }

  /** Six runs that are in progress: each has taken a step. */
  async startBystanders(): Promise<void> {
    const ids = Array.from({ length: BYSTANDERS }, () => `bystander-${++this.#started}`);
    this.#bystanders = await Promise.all(ids.map((id) => this.start(bystander, { every: 200 }, id)));
    await Promise.all(this.#bystanders.map((run) => this.#hasTaken(run, 1)));
  }

  async #hasTaken(run: RunHandle, rounds: number): Promise<void> {
    const taken = async () => {
      const history = await run.history();
      return history.filter((entry) => entry.kind === "inbox" && entry.message.type === "StepCompleted").length;
    };
    await expect.poll(taken, { timeout: NORMAL_MS, interval: 100 }).toBeGreaterThanOrEqual(rounds);
  }

  /**
   * The bystanders take signals and updates and end in normal time, and both coordinators are the same as before.
   *
   * @param withinMs - For each of these; more, if many faulty runs were started that are still tried one after the other.
   */
  async othersAreWell(withinMs = NORMAL_MS): Promise<void> {
    const limit = () => ({ timeout: withinMs, signal: AbortSignal.timeout(withinMs) });
    const ended = this.#bystanders.map(async (run) => {
      expect(await run.update("add", 41, limit())).toBe(42);
      await run.signal("finish", true, limit());
      return run.result({ signal: AbortSignal.timeout(withinMs) });
    });
    const outputs = await Promise.all(ended).catch(this.#withLogs("bystanders"));
    for (const output of outputs) expect(output).toEqual({ rounds: expect.any(Number) });
    this.coordinatorsAreUp();
    await this.startBystanders();
  }

  /** Adds to an error what the coordinators have logged. */
  #withLogs(what: string): (error: Error) => never {
    return (error) => {
      const logs = this.coordinators.map(({ lastLines }) => lastLines);
      throw new Error(`${what}: ${error.message}\n${logs.join("\n--\n")}`, { cause: error });
    };
  }

  coordinatorsAreUp(): void {
    for (const coordinator of this.coordinators) {
      const { exitCode, signalCode } = coordinator.child;
      expect({ exitCode, signalCode }, coordinator.lastLines).toEqual({ exitCode: null, signalCode: null });
    }
  }

  /** Waits until the run is parked, and checks what its record says: the cause, and where it is in the code. */
  async isParked(run: string, message: RegExp, timeout = 20_000): Promise<NonNullable<RunStatus["parked"]>> {
    const status = () => this.client.get(run).status();
    await expect
      .poll(async () => (await status()).parked?.error.message ?? (await status()).status, { timeout, interval: 100 })
      .toMatch(message)
      .catch(this.#withLogs(`run ${run}`));
    return (await status()).parked!;
  }

  /** Waits until the run has failed, and checks its error and the causes of that. */
  async hasFailed(run: string, message: RegExp, timeout = 20_000): Promise<void> {
    const status = () => this.client.get(run).status();
    await expect.poll(async () => (await status()).status, { timeout, interval: 100 }).toBe("failed");
    expect(JSON.stringify((await status()).error)).toMatch(message);
  }

  /** Ends every process, the server too, with SIGKILL, and starts all of them again. */
  async restart(): Promise<void> {
    for (const coordinator of this.coordinators.splice(0)) await coordinator.kill();
    await this.#worker.stop({ drainMs: 0 });
    await this.#server.kill();
    await this.#server.restart();
    await this.client.close();
    await this.log.close();
    this.log = await connectEventLog({ nats: this.#server.url, namespace: this.namespace });
    this.client = await connect({ log: this.log });
    this.#bystanders = this.#bystanders.map(({ id }) => this.client.get(id));
    await this.#openWorker();
    await this.#openCoordinators();
  }

  /** The run can be shown, terminated and deleted, by the client and the command line. */
  async canBeRemoved(run: string, shown: RegExp = /./): Promise<void> {
    const handle = this.client.get(run);
    const told = await this.cli(["show", run]);
    expect(told, told.err).toMatchObject({ code: 0, err: "" });
    expect(told.out).toMatch(shown);
    expect((await handle.history()).length).toBeGreaterThan(0);
    const over = !["running", "parked"].includes((await handle.status()).status);
    const signal = AbortSignal.timeout(NORMAL_MS);
    if (!over) await handle.terminate({ reason: "it is faulty", signal }).catch(this.#withLogs(`terminate ${run}`));
    if (!over) expect((await handle.status()).status).toBe("terminated");
    const deleted = await this.cli(["delete", run]);
    expect(deleted, deleted.err).toMatchObject({ code: 0 });
    await expect(handle.status()).rejects.toMatchObject({ code: "RUN_NOT_FOUND" });
  }

  cli(args: readonly string[]): Promise<Ran> {
    return cli(args, { NATS_URL: this.#server.url, STEPSTREAM_NAMESPACE: this.namespace });
  }

  start(workflow: AnyWorkflow, input: unknown, id: string): Promise<RunHandle> {
    return this.client.start(workflow, input, { id });
  }

  async close(): Promise<void> {
    for (const coordinator of this.coordinators) await coordinator.kill();
    await this.#worker?.stop({ drainMs: 0 });
    await this.client?.close();
    await this.log?.close();
  }
}

/** A coordinator in a process of its own. */
export class CoordinatorProcess {
  readonly child: ChildProcess;
  readonly lines: string[] = [];
  /** Resolves when it is ready; rejects if it ends before. */
  readonly ready: Promise<void>;
  readonly #exit: Promise<unknown>;

  constructor(child: ChildProcess) {
    this.child = child;
    this.#exit = once(child, "exit");
    this.ready = new Promise((resolve, reject) => {
      const take = (line: string) => {
        this.lines.push(line);
        if (line.includes('"event":"ready"')) resolve();
      };
      createInterface(child.stdout!).on("line", take);
      createInterface(child.stderr!).on("line", take);
      void this.#exit.then(() => reject(new Error(`A coordinator ended:\n${this.lastLines}`)));
    });
    this.ready.catch(() => {});
  }

  get lastLines(): string {
    return this.lines.slice(-20).join("\n");
  }

  async kill(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill("SIGKILL");
    await this.#exit;
  }
}
