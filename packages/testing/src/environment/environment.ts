import { writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { checkDefinition, checkFunction, type Duration, durationMs, NotRunningError } from "@stepstream/contracts";
import { watchWorkflowCode } from "@stepstream/coordinator";
import type { Clock } from "@stepstream/event-log";
import { type Faults, type MemoryLog, MemoryServer } from "@stepstream/event-log/memory";
import {
  type AnyStep,
  type AnyWorkflow,
  type Client,
  connect,
  type HandlerInput,
  type HandlerOutput,
  RunHandle,
  type StartOptions,
  type WorkflowInput,
  type WorkflowOutput,
  type WrongHandlerOutput,
} from "@stepstream/sdk";
import { runStep } from "@stepstream/sdk/builtin";
import { type Handler, reportBlocked, type WorkerEvent } from "@stepstream/step-worker";
import { Chance } from "../chance.ts";
import { VirtualClock } from "../clock.ts";
import {
  type AsyncTestHandler,
  type Handled,
  type Handlers,
  listHandlers,
  type TestContext,
  type TestHandler,
  virtually,
} from "../handlers.ts";
import { type ExportedRun, expectReplay } from "../replay.ts";
import { type Crash, Crashes, type CrashPoint, type ProcessName } from "./crashes.ts";
import { Crew } from "./crew.ts";
import { Desk } from "./desk.ts";
import { NotAwaitedError, UnhandledStepError } from "./errors.ts";
import { type EverywhereOptions, everywhere } from "./everywhere.ts";
import { Fake } from "./fake.ts";
import { ClientLog } from "./log.ts";
import { Time } from "./time.ts";

export interface TestEnvironmentOptions {
  workflows: readonly AnyWorkflow[];
  /** What steps do that have no fake. Default: all steps need one. */
  steps?: Handlers;
  /** Default "test". */
  namespace?: string;
  /** Of all chance: ids, jitter, `ctx.chance`. The same seed tells the same story. Default 1. */
  seed?: number;
  /** What time it is at first. Default: 2026-01-01T00:00:00Z. */
  startAt?: Date | number;
  /**
   * How long, in real milliseconds, virtual time waits for a handler that is busy with something real, or for a test
   * that is, before it goes on or gives up. Default 1,000.
   */
  patienceMs?: number;
  /**
   * What to do when a workflow function ends and something that it asked for is still open, which cancels it: "warn"
   * (default) adds it to `env.warnings`, "throw" also makes whatever the test waits for throw a `NotAwaitedError`.
   */
  unawaited?: "warn" | "throw";
}

/** One call of a handler or fake: an attempt at a step. */
export interface Call<S = AnyStep> {
  readonly run: string;
  readonly slot: number;
  readonly input: HandlerInput<S>;
  readonly attempt: number;
  readonly idempotencyKey: string;
  /** By virtual time, in epoch milliseconds. */
  readonly at: number;
}

/** No test takes longer. */
const LONG: Duration = "3650d";

/**
 * A whole Stepstream in this process: the real coordinator, worker and client on a log in memory, in virtual time. Time
 * passes while the test waits for something: for a run's result, or for one of the methods here.
 */
export class TestEnvironment implements AsyncDisposable {
  readonly #options: TestEnvironmentOptions;
  readonly #clock: VirtualClock;
  readonly #chance: Chance;
  readonly #server: MemoryServer;
  readonly #desk: Desk;
  readonly #watch: { stop(): void };
  readonly #handlerWatch: { stop(): void };
  readonly #crew: Crew;
  readonly #crashes: Crashes;
  readonly #time: Time;
  readonly #handlers: Map<string, Handled>;
  readonly #fakes = new Map<string, { step: AnyStep; fake: Fake }>();
  readonly #calls = new Map<string, Call[]>();
  readonly #unhandled = new Map<string, UnhandledStepError>();
  readonly #parked = new Map<string, Error>();
  readonly #troubles: string[] = [];
  readonly #warnings = new Set<string>();
  #notAwaited: NotAwaitedError | undefined;
  readonly #clientLog: ClientLog;
  #client: Client | undefined;
  #activity = 0;
  #closed = false;

  private constructor(options: TestEnvironmentOptions) {
    const { workflows, steps = [], namespace = "test", seed = 1, startAt, patienceMs = 1_000 } = options;
    this.#options = options;
    this.#handlers = listHandlers(steps);
    this.#chance = new Chance(seed);
    this.#desk = new Desk(patienceMs);
    const startMs = startAt === undefined ? undefined : Number(startAt);
    this.#clock = new VirtualClock(this.#chance.next, startMs, () => this.#desk.settled());
    this.#server = new MemoryServer({ namespace, partitions: 1, clock: this.#clock, faults: this.#effects() });
    this.#crashes = new Crashes((process) => this.#crew.crash(process), this.#clock);
    const onAppend = this.#crashes.onAppend.bind(this.#crashes);
    this.#crew = new Crew({
      server: this.#server,
      workflows,
      onAppend,
      handlerOf: (step, log) => this.#handlerOf(step, log),
      onParked: (run, error) => this.#parked.set(run, error),
      onTrouble: (what, error) => this.#troubles.push(`${what}: ${error instanceof Error ? error.message : error}`),
      onForgotten: ({ run, workflow, what, position }) =>
        this.#warn(
          `Workflow "${workflow}" (run ${run}): ${what} was not awaited${position ? `, at ${position}` : ""}; ` +
            "it was cancelled when the workflow function ended.",
        ),
      onDeath: (log) => this.#desk.leave(log),
    });
    this.#clientLog = new ClientLog(this.#server, onAppend, () => this.#trouble());
    this.#clientLog.process.onWait = () => this.#time.wake();
    this.#time = new Time(
      this.#clock,
      {
        waits: () => this.#clientLog.process.waits > 0,
        quiet: () => !this.#server.busy && !this.#crew.starting,
        nextTimerAt: () => this.#server.nextTimerAt,
        activity: () => this.#activity,
        rhythmMs: () => this.#crew.rhythmMs,
        trouble: () => this.#trouble(),
        situation: () => this.#situation(),
        fail: (error) => this.#clientLog.fail(error),
      },
      patienceMs,
    );
    for (const { step } of this.#handlers.values()) this.#crew.serve(step, true);
    // What was under way may be lost then, ours included: the environment ends.
    this.#watch = watchWorkflowCode(
      () => true,
      (error) => {
        this.#time.close(error);
        this.#clientLog.end(error);
      },
    );
    this.#handlerWatch = reportBlocked(undefined, (event) => {
      if (event.type === "blocked") this.#onBlocked(event);
    });
  }

  /** See {@link createTestEnvironment}. */
  static async create(options: TestEnvironmentOptions): Promise<TestEnvironment> {
    const env = new TestEnvironment(options);
    env.#crew.boot();
    env.#client = await connect({ log: env.#clientLog, clock: env.#clientLog.clock });
    await env.#time.until(() => !env.#crew.starting, durationMs(LONG));
    return env;
  }

  // ---------------------------------------------------------------- runs

  /** The real client. While it waits for something, time passes. */
  get client(): Client {
    this.#mustBeOpen();
    return this.#client!;
  }

  /** Starts a run: the same as `env.client.start`. */
  start<W extends AnyWorkflow>(
    workflow: W,
    input: WorkflowInput<W>,
    options?: StartOptions,
  ): Promise<RunHandle<WorkflowOutput<W>>> {
    return this.client.start(workflow, input, options);
  }

  /**
   * Replays the history of a run with the workflows of this environment: they have to decide what was decided.
   * @param run - One of this environment; or one that was exported, e.g. from production: as an object, or the path or
   * URL of the file that `stepstream history <run> --export <file>` wrote.
   * @throws {NonDeterminismError} It decides something else than it did.
   * @throws {RangeError} It is of a workflow, or a version, that this environment does not have.
   * @example await env.replay(new URL("./histories/order-1.json", import.meta.url));
   */
  async replay(run: RunHandle<any> | ExportedRun | string | URL): Promise<void> {
    const { run: id, history } = await exportedOf(run);
    const start = history[0]?.kind === "inbox" ? history[0].message : undefined;
    const { name, version } =
      start?.type === "RunStarted" ? { name: start.workflow, version: start.version } : { name: "", version: 0 };
    const workflow = this.#options.workflows.find((w) => w.name === name && w.version === version);
    if (!workflow) throw new RangeError(`This environment has no workflow "${name}" version ${version}.`);
    await expectReplay(workflow, { run: id, history });
  }

  // ---------------------------------------------------------------- time

  /** What time it is, in epoch milliseconds. */
  now(): number {
    return this.#clock.now();
  }

  /** So much time passes, and what happens in it happens. */
  advance(duration: Duration): Promise<void> {
    return this.#time.advance(durationMs(duration));
  }

  /**
   * Time passes until the condition holds. It is asked whenever everything that was under way is over.
   * @param options.within - At most so much time. Default: ten years.
   * @throws {NotWithinError} @throws {NothingLeftError} Nothing is left that could make it true.
   */
  runUntil(condition: () => boolean, options: { within?: Duration } = {}): Promise<void> {
    return this.#time.until(condition, durationMs(options.within ?? LONG));
  }

  /** Time passes until nothing is left that happens by itself: all runs are over, or wait for somebody. */
  idle(): Promise<void> {
    return this.#time.idle(durationMs(LONG));
  }

  // ---------------------------------------------------------------- steps

  /**
   * Says what a step does from now on, instead of its handler or an earlier fake.
   * @param handler - What it does. Without one the fake says so itself, and else its handler is asked.
   * @example env.fake(charge).fails("the bank is down", { times: 2 });
   */
  fake<S extends AnyStep>(step: S, handler?: NoInfer<AsyncTestHandler<S>>): Fake<S>;
  fake<S extends AnyStep>(step: S, handler?: NoInfer<TestHandler<S>>): Fake<S>;
  /** For the compiler's message alone: no call fits it. */
  fake<S extends AnyStep, const R>(
    this: WrongHandlerOutput<Awaited<R>, HandlerOutput<S>>,
    step: S,
    handler: (input: HandlerInput<S>, context: TestContext<S>) => R,
  ): Fake<S>;
  fake<S extends AnyStep>(step: S, handler?: Handled["handler"]): Fake<S> {
    checkDefinition("step", "step of a fake", step);
    if (handler !== undefined) checkFunction(`fake of step "${step.name}"`, handler);
    const fake = new Fake<S>(handler as TestHandler<S>);
    this.#fakes.set(step.name, { step, fake: fake as unknown as Fake });
    this.#unhandled.delete(step.name);
    this.#crew.serve(step, true);
    return fake;
  }

  /** The attempts at a step so far, of all runs, in their order. */
  calls<S extends AnyStep>(step: S): readonly Call<S>[] {
    return (this.#calls.get(step.name) ?? []) as unknown as readonly Call<S>[];
  }

  /**
   * What went wrong without failing a run: work that a workflow function had asked for and not awaited when it ended, with
   * the place in the code. `expect(env.warnings).toEqual([])` at the end of a test makes sure of all.
   */
  get warnings(): readonly string[] {
    return [...this.#warnings];
  }

  // ---------------------------------------------------------------- crashes

  /** Kills a process now. It is back 100 ms later, with nothing in memory. */
  crash(process: ProcessName): void {
    this.#mustBeOpen();
    this.#crew.crash(process);
  }

  /** Orders a crash just before something is done: it is not done then. */
  crashBefore(point: CrashPoint): Crash {
    return this.#crashes.plan("before", point);
  }

  /** Orders a crash just after something is done: the process does not live to learn of it. */
  crashAfter(point: CrashPoint): Crash {
    return this.#crashes.plan("after", point);
  }

  /**
   * Plays a scenario in fresh environments, made as this one and with its fakes: first without a crash, then with one
   * before the first effect of a process, before the second, and so on. (After an effect is before the next.)
   *
   * @param scenario - Starts runs and throws if an expectation does not hold. It keeps no state from one to the next.
   * @returns How many crashes it has survived.
   * @throws {CrashError} With each crash that broke an expectation.
   */
  crashEverywhere(
    scenario: (env: TestEnvironment) => Promise<unknown>,
    options: EverywhereOptions = {},
  ): Promise<{ crashes: number }> {
    const make = async () => {
      const env = await TestEnvironment.create(this.#options);
      for (const { step, fake } of this.#fakes.values()) env.#adopt(step, fake);
      return { env, crashes: env.#crashes };
    };
    return everywhere(make, scenario, options);
  }

  // ---------------------------------------------------------------- the end

  /** Ends everything. What still waits is told that it is closed. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.stop();
    this.#handlerWatch.stop();
    await this.#client?.close();
    this.#crew.close();
    this.#time.close(new NotRunningError("The test environment", "closed"));
    this.#clientLog.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new NotRunningError("The test environment", "closed");
  }

  // ---------------------------------------------------------------- inside

  /** The wire is perfect; each effect is the moment for a crash. */
  #effects(): Faults {
    return {
      timeoutMs: 10_000,
      latencyMs: () => 0,
      loses: () => false,
      staleMs: () => 0,
      timerLateMs: () => 0,
      onEffect: (process, effect) => {
        if (/^(append|remove|set timer|cancel timer|ask)/.test(effect)) this.#activity++;
        if (effect.startsWith("append ")) this.#onCommand(effect.slice("append ".length));
        this.#crashes.onEffect(process, effect);
      },
    };
  }

  /** Nobody is to wait for a worker that no test has thought of. */
  #onCommand(subject: string): void {
    const parts = this.#server.subjects.parse(subject);
    if (parts?.kind !== "command" || this.#crew.knows(parts.step!)) return;
    this.#crew.serve(anyStep(parts.step!), false);
  }

  #handlerOf(step: AnyStep, log: MemoryLog): Handler<any> {
    const unhandled = (_input: unknown, { run }: { run: string }) => {
      const error = new UnhandledStepError(step.name, run);
      this.#unhandled.set(step.name, error);
      this.#clientLog.fail(error);
      throw error;
    };
    return (input, context) => {
      const { run, slot, attempt, idempotencyKey } = context;
      const call: Call = { run, slot, input, attempt, idempotencyKey, at: log.clock.now() };
      const calls = this.#calls.get(step.name);
      if (calls) calls.push(call);
      else this.#calls.set(step.name, [call]);
      const handler = this.#handlers.get(step.name)?.handler ?? unhandled;
      const fake = this.#fakes.get(step.name)?.fake;
      return this.#desk.serve(log, log.clock, (clock: Clock) => {
        const ctx = virtually(context, clock, this.#chance);
        return fake ? fake.attempt(input, ctx, handler) : handler(input, ctx);
      });
    };
  }

  #adopt(step: AnyStep, fake: Fake): void {
    this.#fakes.set(step.name, { step, fake: fake.copy() });
    this.#crew.serve(step, true);
  }

  /** What somebody who waits has to know at once. */
  #trouble(): Error | undefined {
    for (const error of this.#unhandled.values()) return error;
    return this.#notAwaited;
  }

  #warn(message: string): void {
    this.#warnings.add(message);
    if (this.#options.unawaited !== "throw" || this.#notAwaited) return;
    this.#notAwaited = new NotAwaitedError(message);
    this.#clientLog.fail(this.#notAwaited);
  }

  /** A handler is not stopped, so this is said while it blocks: it may be the last that anybody sees of the test. */
  #onBlocked({ ms, where, over, run, step }: Extract<WorkerEvent, { type: "blocked" }>): void {
    if (run === undefined) return;
    const seconds = `${(ms / 1_000).toFixed(1)} s`;
    const said = `The handler of step "${step}" (run ${run})`;
    if (over) this.#warnings.add(`${said} blocked the event loop for ${seconds}, at ${where}.`);
    else
      writeSync(
        2,
        `stepstream: ${said} has blocked the event loop for ${seconds}, at ${where}. The test waits for it.\n`,
      );
  }

  #situation(): string {
    const { subjects } = this.#server;
    const lines: string[] = [];
    for (const subject of this.#server.stream("EVENTS").list(`${subjects.namespace}.inbox.*.*.client`).keys()) {
      const run = subjects.parse(subject)?.run;
      if (run === undefined) continue;
      const last = this.#server.last(subjects.journal(run), 0);
      if (last && /"type":"Run(Completed|Failed|Cancelled|Terminated)"/.test(last.text)) continue;
      const parked = this.#server.last(subjects.parked(run), 0) && this.#parked.get(run);
      lines.push(parked ? `Run ${run} is parked: ${parked.message}` : `Run ${run} waits for something from outside.`);
    }
    if (lines.length === 0) lines.push("No run is going on.");
    return [...lines, ...this.#troubles.slice(-3)].join("\n");
  }
}

/**
 * Starts a coordinator and a worker in this process, on a log in memory and in virtual time: no server, no download,
 * and a run that takes 30 days takes milliseconds.
 *
 * @throws {RangeError} A workflow or a step is given twice.
 * @example
 * await using env = await createTestEnvironment({ workflows: [order] });
 * env.fake(charge).returns({ receipt: "r-1" });
 * const run = await env.start(order, { orderId: "1", cents: 995 });
 * expect(await run.result()).toEqual({ parcel: "p-1" });
 */
export function createTestEnvironment(options: TestEnvironmentOptions): Promise<TestEnvironment> {
  return TestEnvironment.create(options);
}

/** A step of which only the name is known. */
function anyStep(name: string): AnyStep {
  const anything = runStep.output;
  return {
    kind: "step",
    name,
    input: anything,
    output: anything,
    errors: {},
    retry: { maxAttempts: 1, initialMs: 0, factor: 1, maxMs: 0, jitter: "none" },
    retryIf: undefined,
    timeout: {},
    heartbeatMs: undefined,
    concurrency: 50,
    breaker: undefined,
  };
}

async function exportedOf(run: RunHandle<any> | ExportedRun | string | URL): Promise<ExportedRun> {
  if (typeof run === "string" || run instanceof URL) {
    const exported = JSON.parse(await readFile(run, "utf8")) as ExportedRun;
    if (!exported.run || !Array.isArray(exported.history))
      throw new RangeError(`${run} holds no {"run": …, "history": […]}.`);
    return exported;
  }
  return run instanceof RunHandle ? { run: run.id, history: await run.history() } : run;
}
