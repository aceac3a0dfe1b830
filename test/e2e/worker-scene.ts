import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { CancelSlots, RunStep, SlotOutcome } from "@stepstream/contracts";
import { AttemptRecord, DeadLetter, decode, decodeInbox, type InboxMessage } from "@stepstream/contracts";
import type { EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import type { AnyStep } from "@stepstream/sdk";
import { createWorker, type Worker, type WorkerEvent, type WorkerOptions } from "@stepstream/step-worker";
import { expect } from "vitest";
import { planted } from "../support/planted.ts";

const MAIN = fileURLToPath(new URL("../../services/step-worker/src/main.ts", import.meta.url));
const PROGRAMS = new URL("programs/", import.meta.url);

type Of<Type extends WorkerEvent["type"]> = Extract<WorkerEvent, { type: Type }>;

/** A namespace with workers, in this process and in others; the test plays the coordinator. */
export class WorkerScene {
  readonly bus: { nats: string; namespace: string };
  readonly events: WorkerEvent[] = [];
  /** Where programs write what is wrong: to nowhere, where they are to crash. */
  stderr: "inherit" | "ignore" = "inherit";
  log!: EventLog;
  readonly #workers: Worker[] = [];
  readonly #programs: ChildProcess[] = [];
  #waiting: (() => void)[] = [];

  constructor(nats: string, namespace: string) {
    this.bus = { nats, namespace };
  }

  async open(): Promise<void> {
    this.log = await connectEventLog({ ...this.bus, partitions: 4 });
  }

  worker(options: WorkerOptions = {}): Worker {
    const quiet = { info() {}, warn() {}, error() {} };
    const onEvent = (event: WorkerEvent) => {
      this.events.push(event);
      for (const look of this.#waiting.splice(0)) look();
    };
    const worker = createWorker({ ...this.bus, logger: quiet, onEvent, ...options });
    this.#workers.push(worker);
    return worker;
  }

  /**
   * A worker process: `main.ts` with handlers. Resolves when it is ready.
   * @param faults - Of the worker itself.
   * @param options - Of Node.js.
   */
  async program(
    module = "handlers.ts",
    faults: Parameters<typeof planted>[0] = [],
    options: readonly string[] = [],
    settings: Record<string, string> = {},
  ): Promise<Program> {
    const { args, env: more } = planted(faults);
    const { nats, namespace } = this.bus;
    const env = { ...process.env, ...more, NATS_URL: nats, STEPSTREAM_NAMESPACE: namespace, ...settings };
    const child = spawn(process.execPath, [...options, ...args, MAIN, fileURLToPath(new URL(module, PROGRAMS))], {
      env,
      stdio: ["ignore", "pipe", this.stderr],
    });
    this.#programs.push(child);
    const program = new Program(child);
    await program.says("is ready");
    return program;
  }

  /** Publishes a command, as a coordinator would. */
  async command(step: AnyStep, run: string, input: unknown, more: Partial<RunStep> = {}): Promise<void> {
    const { name, retry, timeout, heartbeatMs } = step;
    const slot = more.slot ?? 1;
    const command: RunStep = {
      v: 1,
      type: "RunStep",
      run,
      workflow: "w",
      slot,
      step: name,
      input,
      attempt: 1,
      idempotencyKey: `${run}/${slot}`,
      retry,
      timeout,
      ...(heartbeatMs === undefined ? {} : { heartbeatMs }),
      scheduledAt: Date.now(),
      after: 0,
      ...more,
    };
    await this.log.append(this.log.subjects.command(name, run, slot), JSON.stringify(command), { expectLast: 0 });
  }

  cancel(run: string, ...slots: number[]): void {
    const hint: CancelSlots = { v: 1, type: "CancelSlots", run, slots, reason: "nobody wants it" };
    this.log.broadcast(this.log.subjects.cancel(run), JSON.stringify(hint));
  }

  /** The n-th event of that type, of a worker in this process. */
  async event<Type extends WorkerEvent["type"]>(type: Type, n = 1): Promise<Of<Type>> {
    for (;;) {
      const found = this.events.filter((event): event is Of<Type> => event.type === type)[n - 1];
      if (found) return found;
      await new Promise<void>((resolve) => void this.#waiting.push(resolve));
    }
  }

  /** What a worker said about the slot, once it has: of other processes there are no events. */
  async outcome(run: string, slot = 1): Promise<SlotOutcome> {
    let outcome: SlotOutcome | undefined;
    await expect
      .poll(
        async () => {
          outcome = (await this.inbox(run)).find(
            (message): message is SlotOutcome =>
              "step" in message &&
              message.slot === slot &&
              message.type !== "RetryLater" &&
              message.type !== "StepStartedTwice",
          );
          return outcome?.type;
        },
        { timeout: 20_000 },
      )
      .toBeDefined();
    return outcome!;
  }

  async inbox(run: string): Promise<InboxMessage[]> {
    const stored = await this.log.read(this.log.subjects.inbox(run), { fresh: true });
    return stored.map(({ text, subject }) => decodeInbox(subject, text));
  }
  async records(run: string, slot = 1): Promise<AttemptRecord[]> {
    const stored = await this.log.read(this.log.subjects.attempts(run, slot), { fresh: true });
    return stored.map(({ text, subject }) => decode(AttemptRecord, text, subject));
  }
  async dead(step: string, run: string, slot = 1): Promise<DeadLetter | undefined> {
    const stored = await this.log.last(this.log.subjects.dead(step, run, slot), { fresh: true });
    return stored && decode(DeadLetter, stored.text, stored.subject);
  }
  /** How many commands are left; an ack has no answer, so it is worth asking again. */
  async left(): Promise<number> {
    return (await this.log.list("COMMANDS", `${this.bus.namespace}.command.>`)).size;
  }

  async close(): Promise<void> {
    for (const child of this.#programs) child.kill("SIGKILL");
    await Promise.all(this.#workers.map((worker) => worker.stop({ drainMs: 0 })));
    await this.log.close();
  }
}

/** A process whose lines can be waited for. */
export class Program {
  readonly child: ChildProcess;
  readonly lines: string[] = [];
  readonly #exit: Promise<unknown>;
  #waiting: (() => void)[] = [];

  constructor(child: ChildProcess) {
    this.child = child;
    this.#exit = once(child, "exit");
    createInterface(child.stdout!).on("line", (line) => {
      this.lines.push(line);
      for (const look of this.#waiting.splice(0)) look();
    });
  }

  async says(text: string): Promise<void> {
    while (!this.lines.some((line) => line.includes(text))) {
      const line = new Promise<void>((resolve) => void this.#waiting.push(resolve));
      const ended = await Promise.race([line.then(() => false), this.#exit.then(() => true)]);
      if (ended) throw new Error(`It ended without saying "${text}", but: ${this.lines.join(" / ")}`);
    }
  }

  /** @returns its exit code, null if a signal ended it. */
  async exit(): Promise<number | null> {
    await this.#exit;
    return this.child.exitCode;
  }

  end(signal: NodeJS.Signals): Promise<number | null> {
    this.child.kill(signal);
    return this.exit();
  }
}
