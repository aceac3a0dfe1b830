import { inspect } from "node:util";
import {
  checkThoroughly,
  decodeValue,
  durationMs,
  isTerminal,
  RunClosedError,
  type TerminalEvent,
  toFailure,
  WorkflowCancelledError,
  WorkflowTerminatedError,
} from "@stepstream/contracts";
import { createBoundary, createCoordinator, UnansweredError } from "@stepstream/coordinator";
import { sleep } from "@stepstream/event-log";
import { type MemoryLog, MemoryServer } from "@stepstream/event-log/memory";
import { type AnyWorkflow, type Client, connect, type HistoryEntry, type RunHandle } from "@stepstream/sdk";
import { builtinWorkflows } from "@stepstream/sdk/builtin";
import { createWorker } from "@stepstream/step-worker";
import { Chance } from "../chance.ts";
import { countedMacrotask, VirtualClock } from "../clock.ts";
import { listHandlers, virtually, withoutBreaker } from "../handlers.ts";
import { tellStory } from "../story.ts";
import { spell, tell } from "./history.ts";
import { check } from "./invariants.ts";
import { Ledger } from "./ledger.ts";
import { Calls, checkResults } from "./results.ts";
import { sameValue } from "./same-value.ts";
import type { Outcome, Scenario, SimulatedRun, Started } from "./scenario.ts";
import { FORGOTTEN_MS, REPAIRED_MS, Watch } from "./watch.ts";
import { drawVanishing, drawWeather, nowAndThen, Storm, type Weather } from "./weather.ts";

const quiet = () => {};
const silent = { debug: quiet, info: quiet, warn: quiet, error: quiet };
const FAULTY_MS = 90_000;
/** After so long without faults no process believes any more what was so before. */
const CALM_MS = 20_000;
const LIMIT_MS = 40 * 60_000;
/** Nothing is stored but timers that are further away than this: then time leaps to the next. */
const LONG_MS = 3_600_000;
/** How long before the timer the leap ends, for processes to find back into their rhythm. */
const LANDING_MS = 20_000;
/** What goes on for longer than this goes on for ever. */
const LIFETIME_MS = 10 * 365 * 86_400_000;
/** A command with so many deliveries is started alone, and is spared more crashes of workers: pauses and cuts add a few. */
const SPARED_FROM = 5;
const SETTINGS = { graceMs: 6_000, idleMs: 4_000, hotRuns: 3, unparkMs: 10_000 };

/** @param trace - Hears of everything that processes do, a line each. */
export type Trace = (line: string) => void;

/**
 * One simulated world: coordinators and workers (the real code) on the log in memory, with mishaps for a minute
 * and a half, then none. After that every run must end, and everything must have been as promised.
 */
export function simulateWorld(scenario: Scenario, seed: number, runs: number, trace?: Trace): Promise<Outcome> {
  return new World(scenario, seed, runs, trace).live();
}

class World {
  readonly #scenario: Scenario;
  /** Those of the scenario, and those that every coordinator brings along. */
  readonly #workflows: readonly AnyWorkflow[];
  readonly #seed: number;
  readonly #runs: number;
  readonly #trace: Trace | undefined;
  readonly #chance: Chance;
  /** What goes missing is drawn apart: see drawVanishing. */
  readonly #vanishing: Chance;
  readonly #clock: VirtualClock;
  readonly #t0: number;
  readonly #ledger = new Ledger();
  readonly #weather: Weather;
  readonly #storm: Storm;
  readonly #server: MemoryServer;
  readonly #watch: Watch;
  readonly #calls = new Calls();
  readonly #boundary = createBoundary(countedMacrotask);
  readonly #members = new Map<string, { log: MemoryLog; frozenAt: number }>();
  readonly #started = new Map<string, Started<any>>();
  /** Those that live: started by us, or by a run. */
  readonly #live = new Set<string>();
  readonly #ended = new Set<string>();
  /** Until when those outside sleep. */
  readonly #appointments = new Set<number>();
  /** Runs that somebody outside still has to do with. */
  readonly #busyOutside = new Set<string>();
  #restartedAt = Number.NEGATIVE_INFINITY;
  #vanishedAt = Number.NEGATIVE_INFINITY;
  #deployedAt: number | undefined;
  #leaps = 0;

  constructor(scenario: Scenario, seed: number, runs: number, trace: Trace | undefined) {
    this.#scenario = scenario;
    // What is stored at the end must fit the new code, whatever code it began with.
    this.#workflows = [...deployedTo(scenario.workflows, scenario.deploy?.workflows), ...builtinWorkflows];
    this.#seed = seed;
    this.#runs = runs;
    this.#trace = trace;
    this.#chance = new Chance(seed);
    this.#clock = new VirtualClock(this.#chance.next);
    this.#t0 = this.#clock.now();
    this.#vanishing = new Chance(seed + 1_000_003);
    this.#weather = { ...drawWeather(this.#chance), ...drawVanishing(this.#vanishing) };
    const note = trace && ((who: string, what: string) => this.#note(who, what));
    this.#storm = new Storm(this.#weather, this.#chance, this.#ledger, (name) => this.#crashByChance(name), note);
    const { dedupeMs, latency } = this.#weather;
    this.#server = new MemoryServer({
      namespace: "sim",
      partitions: 3,
      clock: this.#clock,
      faults: this.#storm,
      dedupeMs,
    });
    this.#watch = new Watch({
      server: this.#server,
      ledger: this.#ledger,
      latencyMs: latency,
      restartedAt: () => this.#restartedAt,
      vanishedAt: () => this.#vanishedAt,
      frozenAt: () => Math.max(...[...this.#members.values()].map((member) => member.frozenAt)),
      workflows: this.#workflows,
      excused: (run) => scenario.excused?.(run) ?? false,
    });
    this.#clock.onPassing = () => this.#leap();
  }

  async live(): Promise<Outcome> {
    checkThoroughly();
    for (const name of this.#names()) this.#clock.setTimeout(() => this.#boot(name), this.#chance.int(2_000));
    this.#brew();
    const client = this.#server.connect("client");
    this.#clock.setTimeout(() => this.#checkCauses(), 250);
    const connected = await connect({ log: client, clock: client.clock });
    for (let i = 1; i <= this.#runs; i++) this.#plan(`r${i}`, this.#scenario.start(this.#chance, i), connected);
    this.#clock.setDrifting(() => {
      this.#storm.over = true;
    }, FAULTY_MS);
    const { deploy } = this.#scenario;
    if (deploy) this.#clock.setDrifting(() => this.#deploy(), durationMs(deploy.after, "after of deploy"));

    let virtualMs: number;
    let over: boolean;
    do {
      let leaps: number;
      do {
        leaps = this.#leaps;
        over = await this.#clock.run(() => this.#over() || this.#ledger.full, LIMIT_MS);
      } while (!over && this.#leaps > leaps);
      virtualMs = this.#clock.now() - this.#t0;
      // Late messages, repeated reports: nothing may follow an end, but that of a run that its parent has just abandoned.
      await this.#clock.run(() => this.#ledger.full, 60_000);
    } while (over && !this.#ledger.full && !this.#over());
    for (const run of this.#busyOutside) this.#ledger.fault(`outside of run ${run} : somebody still waits`);
    this.#busyOutside.clear();
    await connected.close();
    for (const { log } of this.#members.values()) log.kill();
    return this.#judge(virtualMs);
  }

  #over(): boolean {
    if (!this.#storm.over || this.#started.size < this.#runs || this.#busyOutside.size > 0) return false;
    for (const run of this.#live) if (!this.#hasEnded(run)) return false;
    // A run that has just ended may have started another.
    for (const run of this.#watch.runs()) this.#live.add(run);
    for (const run of this.#live) if (!this.#hasEnded(run)) return false;
    return true;
  }

  #hasEnded(run: string): boolean {
    if (this.#ended.has(run)) return true;
    if (!this.#watch.ended(run)) return false;
    this.#ended.add(run);
    return true;
  }

  #note(who: string, what: string): void {
    this.#trace?.(`+${Math.round(this.#clock.now() - this.#t0)} ${who} ${what}`);
  }

  #noteEvent(who: string, event: object): void {
    if (!this.#trace) return;
    this.#note(
      who,
      JSON.stringify(event, (_key, value) => (value instanceof Error ? value.message : value)),
    );
  }

  // ---------------------------------------------------------------- processes

  #names(): string[] {
    const { coordinators, workers = 2 } = this.#scenario;
    const named = (letter: string, n: number) => Array.from({ length: n }, (_, i) => `${letter}${i + 1}`);
    const names = [...named("c", coordinators ?? 2), ...named("w", workers)];
    if (coordinators === undefined && this.#chance.is(0.5)) names.push("c3");
    return names;
  }

  /** Three processes that end with a command that was alone in them are the fault of the command: here none is. */
  #crashByChance(name: string): void {
    if (!name.startsWith("w") || this.#server.mostDeliveries < SPARED_FROM) this.#crash(name);
  }

  #crash(name: string): void {
    const member = this.#members.get(name);
    if (!member) return;
    this.#ledger.count("crash");
    this.#note(name, "crashes");
    member.log.kill();
    this.#members.delete(name);
    this.#clock.setTimeout(() => this.#boot(name), 100 + this.#chance.exponential(2_000));
  }

  /** No coordinator with the old code runs beside one with the new: a run that the new code began would not fit the old. */
  #deploy(): void {
    this.#deployedAt = this.#clock.now();
    this.#note("all coordinators", "get new code");
    for (const name of [...this.#members.keys()]) if (name.startsWith("c")) this.#crash(name);
  }

  #boot(name: string): void {
    const log = this.#server.connect(name);
    this.#members.set(name, { log, frozenAt: Number.NEGATIVE_INFINITY });
    const started = name.startsWith("c") ? this.#bootCoordinator(name, log) : this.#bootWorker(name, log);
    started.catch((error) => {
      // The log was away while it started; a process manager would start it again.
      if (this.#members.get(name)?.log !== log) return;
      this.#ledger.count(`failed start: ${(error as { code?: string }).code}`);
      this.#crash(name);
    });
  }

  #bootCoordinator(name: string, log: MemoryLog): Promise<unknown> {
    const { workflows, hosts, settings, deploy } = this.#scenario;
    const known = hosts?.(Number(name.slice(1))) ?? workflows;
    const ledger = this.#ledger;
    const onEvent = (event: { type: string; run?: string; error?: unknown; what?: string }) => {
      this.#noteEvent(name, event);
      const code = (event.error as { code?: string } | undefined)?.code;
      if (event.type === "parked" && hosts && code === "UNKNOWN_WORKFLOW") ledger.count("parked");
      else if (event.type === "parked" && code === "INVARIANT_VIOLATED")
        ledger.violation(event.run!, `parked: ${(event.error as Error).message}`);
      else if (event.type === "parked") ledger.fault(`parked: ${(event.error as Error).message}`);
      if (event.type === "dead") ledger.fault(`dead letter: ${(event.error as Error).message}`);
      if (["moved", "rebuilt", "repaired", "swept"].includes(event.type)) ledger.count(event.type);
      if (event.type === "trouble" && code !== "LOG_UNAVAILABLE" && !(event.error instanceof UnansweredError))
        ledger.fault(`trouble: ${event.what}: ${(event.error as Error)?.stack ?? event.error}`);
    };
    return createCoordinator({
      log,
      clock: log.clock,
      workflows: this.#deployedAt !== undefined ? deployedTo(known, deploy?.workflows) : known,
      boundary: this.#boundary,
      settings: { ...SETTINGS, ...settings },
      onEvent,
    }).start();
  }

  #bootWorker(name: string, log: MemoryLog): Promise<unknown> {
    const worker = createWorker({
      log,
      clock: log.clock,
      name,
      cleanUpMs: 2_000,
      logger: silent,
      onEvent: (event) => {
        this.#noteEvent(name, event);
        if (event.type === "trouble" && (event.error as { code?: string }).code !== "LOG_UNAVAILABLE")
          this.#ledger.fault(`worker trouble: ${event.what}: ${(event.error as Error).stack}`);
        if (event.type === "dead") this.#ledger.fault(`dead command: ${event.error.message}`);
      },
    });
    for (const { step, handler } of listHandlers(this.#scenario.steps).values())
      worker.handle(withoutBreaker(step), (input, context) => {
        this.#watch.checkStart(context);
        const { run, slot } = context;
        this.#calls.called(run, slot, step, input);
        const returned = (output: unknown) => {
          this.#calls.returned(run, slot, output);
          return output;
        };
        const output = handler(input, virtually(context, log.clock, this.#chance));
        return output instanceof Promise ? output.then(returned) : returned(output);
      });
    return worker.start();
  }

  // ---------------------------------------------------------------- mishaps

  #brew(): void {
    const { cut, restart, pause, vanish } = this.#weather;
    const storm = {
      chance: this.#chance,
      clock: { setTimeout: (fn: () => void, ms: number) => this.#clock.setDrifting(fn, ms) },
      over: () => this.#storm.over,
    };
    nowAndThen(storm, cut, () => this.#strike("cut", 800));
    nowAndThen(storm, restart, () => this.#restart());
    nowAndThen(storm, pause, () => this.#strike("pause", 5_000));
    nowAndThen({ ...storm, chance: this.#vanishing }, vanish, () => this.#vanish());
  }

  #strike(what: "cut" | "pause", meanMs: number): void {
    const name = this.#chance.pick([...this.#members.keys()]);
    const member = this.#members.get(name);
    if (!member) return;
    this.#ledger.count(what);
    const ms = this.#chance.exponential(meanMs);
    this.#note(name, `${what} for ${Math.round(ms)} ms`);
    if (what === "cut") return member.log.cut(ms);
    member.frozenAt = this.#clock.now() + ms;
    member.log.pause(ms);
  }

  /** The server itself is killed, and comes back on the same store: what was just acknowledged is forgotten. */
  #restart(): void {
    this.#ledger.count("restart");
    this.#note("server", "is killed and restarted");
    this.#restartedAt = this.#clock.now();
    this.#server.restart({ downMs: this.#chance.exponential(500), forgetMs: FORGOTTEN_MS });
  }

  /** Commands or timers go missing: some of them, or all. */
  #vanish(): void {
    const kind = this.#vanishing.pick(["COMMANDS", "TIMERS"] as const);
    const share = this.#vanishing.pick([0.2, 1]);
    const lost = this.#server.lose(kind, () => this.#vanishing.is(share));
    if (lost === 0) return;
    this.#ledger.count("vanished", lost);
    this.#note("server", `loses ${lost} messages of ${kind}`);
    this.#vanishedAt = this.#clock.now();
  }

  /** Where all that lives waits for a time that is far away, nobody is to live through every second until then. */
  #leap(): void {
    const next = Math.min(this.#server.nextTimerAt ?? Number.POSITIVE_INFINITY, ...this.#appointments);
    if (this.#clock.now() - this.#vanishedAt < REPAIRED_MS) return;
    const ms = Number.isFinite(next) ? next - this.#clock.now() : 0;
    if (ms <= LONG_MS || this.#server.busy || next - this.#t0 > LIFETIME_MS) return;
    const live = [...this.#live].filter((run) => !this.#hasEnded(run));
    // Somebody may have started one before any coordinator was there.
    if (live.length === 0 || live.some((run) => this.#watch.isUndone(run) || this.#watch.isParked(run))) return;
    this.#leaps++;
    this.#note("time", `leaps ${ms - LANDING_MS} ms`);
    this.#clock.leap(ms - LANDING_MS);
  }

  // ---------------------------------------------------------------- what is asked of it

  #plan(run: string, started: Started<any>, client: Client): void {
    this.#clock.setDrifting(
      () => {
        this.#drive(run, started, client).catch((error) => {
          // What the end of the world has interrupted is told already.
          if (this.#busyOutside.delete(run)) this.#ledger.fault(`outside of run ${run} : ${error?.stack ?? error}`);
        });
      },
      this.#chance.int(FAULTY_MS * 0.7),
    );
  }

  async #drive(id: string, started: Started<any>, client: Client): Promise<void> {
    this.#busyOutside.add(id);
    const run = await this.#start(id, started, client);
    this.#started.set(id, started);
    this.#live.add(id);
    const world = {
      workflow: started.workflow,
      chance: this.#chance,
      clock: this.#clock,
      client,
      sleep: (ms: number) => this.#sleep(ms),
      calm: async () => {
        while (!this.#storm.over) await this.#sleep(1_000);
        await this.#sleep(CALM_MS);
      },
      forget: (gone: string) => this.#forget(gone),
    };
    try {
      await this.#scenario.outside?.(run, world);
    } catch (error) {
      if (!(error instanceof RunClosedError) && !isUnavailable(error)) throw error;
    }
    this.#busyOutside.delete(id);
  }

  #forget(run: string): void {
    this.#ended.delete(run);
    this.#live.delete(run);
    this.#calls.forget(run);
    this.#watch.forget(run);
  }

  async #sleep(ms: number): Promise<void> {
    const until = this.#clock.now() + ms;
    this.#appointments.add(until);
    await sleep(this.#clock, ms);
    this.#appointments.delete(until);
  }

  /** As a program does that will not be put off: the id makes it one start. */
  async #start(id: string, { workflow, input, options }: Started<any>, client: Client): Promise<RunHandle> {
    for (;;) {
      try {
        return await client.start(workflow, input, { ...options, id, onConflict: "attach" });
      } catch (error) {
        if (!isUnavailable(error)) throw error;
      }
    }
  }

  #checkCauses(): void {
    for (const run of this.#watch.runs()) this.#live.add(run);
    this.#watch.checkCauses([...this.#live].filter((run) => !this.#hasEnded(run)));
    if (!this.#over()) this.#clock.setTimeout(() => this.#checkCauses(), 250);
  }

  // ---------------------------------------------------------------- the end

  async #judge(virtualMs: number): Promise<Outcome> {
    this.#server.faults = undefined;
    const ledger = this.#ledger;
    const wrong: { faults: string[]; history: string; story: string }[] = [];
    const observer = this.#server.connect("observer");
    const client = await connect({ log: observer, clock: this.#clock });
    // Where a promise was violated, the other runs were not given the time to end.
    const { violated } = ledger;
    if (violated === undefined && ledger.faults.length === 0) this.#checkLeftovers();
    for (const run of violated === undefined ? this.#live : [violated]) {
      const told = await tell(observer, run);
      const found = await check(run, told, this.#workflows);
      found.push(...checkResults(run, this.#watch, this.#calls), ...(await this.#checkResult(run, client)));
      for (const event of this.#watch.events(run))
        if (
          event.type === "ChildScheduled" &&
          event.onParentClose === "abandon" &&
          this.#watch.inbox(event.run).length === 0
        )
          found.push(`run ${run} has asked for child ${event.run}, which was never started`);
      const history = await client.get(run).history();
      if (this.#scenario.check) found.push(...(await this.#checkOwn(run, history)));
      const more = ledger.faults.filter((fault) => fault.includes(`run ${run} `));
      if (found.length + more.length > 0)
        wrong.push({ faults: found, history: spell(told, this.#t0), story: tellStory(history) });
    }
    for (let i = 1; i <= this.#runs && violated === undefined; i++)
      if (!this.#live.has(`r${i}`)) ledger.fault(`run r${i} was never started`);
    wrong.sort((a, b) => a.history.length - b.history.length);
    return {
      seed: this.#seed,
      faults: [...ledger.faults, ...wrong.flatMap((w) => w.faults)],
      history: wrong[0]?.history,
      story: wrong[0]?.story,
      mishaps: ledger.mishaps,
      runs: this.#runs,
      virtualMs,
    };
  }

  /** All runs have ended a minute ago: nothing is stored any more that was to bring them further. */
  #checkLeftovers(): void {
    for (const kind of ["COMMANDS", "TIMERS"] as const)
      for (const subject of this.#server.stream(kind).list(">").keys())
        this.#ledger.fault(`run ${this.#server.subjects.parse(subject)?.run} has ended and left ${subject}`);
  }

  /** O7 of the results. */
  async #checkResult(run: string, client: Client): Promise<string[]> {
    const end = this.#watch.events(run).findLast(isTerminal);
    if (!end) return [];
    const got = await client
      .get(run)
      .result()
      .then(
        (output) => ({ output }),
        (error) => ({ error }),
      );
    const expected: object =
      end.type === "RunCompleted"
        ? { output: decodeValue(end.output) }
        : { error: bare(end.type === "RunFailed" ? end.error : toFailure(endError(run, end))) };
    const actual: object = "error" in got ? { error: bare(toFailure(got.error)) } : got;
    return sameValue(actual, expected)
      ? []
      : [`run.result() of run ${run} is ${inspect(actual)}; the journal has ${inspect(expected)}`];
  }

  /** With its output as `run.result()` returns it. */
  #endOf(run: string): TerminalEvent | undefined {
    const end = this.#watch.events(run).findLast(isTerminal);
    return end?.type === "RunCompleted" ? { ...end, output: decodeValue(end.output) } : end;
  }

  /** What the scenario itself has to say about a run. */
  async #checkOwn(run: string, history: HistoryEntry[]): Promise<string[]> {
    // What came before it, from a worker that was slow, was for a run that had the id and was deleted.
    const start = history.flatMap((entry) =>
      entry.kind === "inbox" && entry.message.type === "RunStarted" ? [entry.message] : [],
    )[0];
    const told: SimulatedRun = {
      id: run,
      workflow: start?.workflow ?? "",
      input: decodeValue(start?.input),
      end: this.#endOf(run),
      history,
    };
    try {
      const said = await this.#scenario.check!(told, {
        deployedAt: this.#deployedAt,
        end: (other) => this.#endOf(other),
      });
      const faults = Array.isArray(said) ? said : [said];
      return faults.filter((fault) => typeof fault === "string").map((fault) => `run ${run}: ${fault}`);
    } catch (error) {
      return [`run ${run}: ${error instanceof Error ? error.message : error}`];
    }
  }
}

/** The workflows, those of the same name and version with their new code. */
function deployedTo(workflows: readonly AnyWorkflow[], code: readonly AnyWorkflow[] = []): AnyWorkflow[] {
  return workflows.map((one) => code.find(({ name, version }) => name === one.name && version === one.version) ?? one);
}

function endError(run: string, end: Exclude<TerminalEvent, { type: "RunCompleted" | "RunFailed" }>): Error {
  return end.type === "RunCancelled"
    ? new WorkflowCancelledError(run, end.reason)
    : new WorkflowTerminatedError(run, end.reason);
}

/** Without stacks, which are of the process that made them, and without keys that hold nothing. */
function bare(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, inner) => (key === "stack" ? undefined : inner)));
}

function isUnavailable(error: unknown): boolean {
  return ["LOG_UNAVAILABLE", "CALL_TIMEOUT"].includes((error as { code?: string }).code ?? "");
}
