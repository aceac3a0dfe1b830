import type { Decision, InboxMessage } from "@stepstream/contracts";
import type { Clock } from "@stepstream/event-log";

export type ProcessName = "coordinator" | "worker";

/** The moment of a crash: one of `event` and `effect`. */
export interface CrashPoint {
  /**
   * A message of the run's history as it is stored: an event of the journal ("StepScheduled", "RunCompleted" …), of the
   * inbox ("StepCompleted", "TimerFired", "RunStarted" …) or of an attempt ("AttemptFailed").
   */
  event?: string;
  /** Anything that a process does to the server, e.g. "ack", "append", "set timer", or a pattern. */
  effect?: string | RegExp;
  /** The n-th of them, from 1. Default 1. */
  nth?: number;
  /** Who crashes. Default: who does it; the coordinator, where that is the client. */
  process?: ProcessName;
}

/** A crash that is ordered. */
export interface Crash {
  /** When it happened, by virtual time; undefined until then. */
  readonly at: number | undefined;
}

interface Plan {
  moment: "before" | "after";
  point: CrashPoint;
  left: number;
  crash: { at: number | undefined };
}

interface Counting {
  processes: readonly string[];
  left: number;
  count: number;
  hit: { process: ProcessName; what: string } | undefined;
}

/** Effects that change nothing: a crash before one is a crash before the next. */
const HARMLESS = /^(read|list|look|consume|working|broadcast|ask|answer)/;

/** Brings crashes about, at the moments that the test has ordered. */
export class Crashes {
  readonly #kill: (process: ProcessName) => void;
  readonly #clock: Clock;
  readonly #plans = new Set<Plan>();
  /** Those that are to be dead before they do anything else. */
  readonly #doomed = new Map<ProcessName, Plan>();
  #counting: Counting | undefined;

  /** @param kill - Kills a process, if it is alive. */
  constructor(kill: (process: ProcessName) => void, clock: Clock) {
    this.#kill = kill;
    this.#clock = clock;
  }

  /** @throws {RangeError} Not one of `event` and `effect`. */
  plan(moment: "before" | "after", point: CrashPoint): Crash {
    const { event, effect, nth = 1 } = point;
    if ((event === undefined) === (effect === undefined))
      throw new RangeError("A crash is ordered by one of `event` and `effect`.");
    if (!Number.isInteger(nth) || nth < 1) throw new RangeError(`nth is a whole number from 1, not ${nth}.`);
    const plan: Plan = { moment, point, left: nth, crash: { at: undefined } };
    this.#plans.add(plan);
    return plan.crash;
  }

  /** From now on effects are counted; before the `nth` its process is killed. 0: none is. */
  countTo(nth: number, processes: readonly string[] = ["coordinator", "worker"]): void {
    this.#counting = { processes, left: nth, count: 0, hit: undefined };
  }

  /** How many effects were counted, and before which one its process was killed. */
  get counted(): Pick<Counting, "count" | "hit"> {
    return { count: this.#counting?.count ?? 0, hit: this.#counting?.hit };
  }

  onAppend(moment: "before" | "after", process: string, text: string): void {
    if (this.#plans.size === 0) return;
    const message = JSON.parse(text) as Decision | InboxMessage;
    const types = message.type === "Decision" ? message.events.map((event) => event.type) : [message.type];
    for (const plan of this.#plans) {
      if (plan.moment !== moment || plan.point.event === undefined) continue;
      for (const type of types) if (type === plan.point.event && --plan.left === 0) this.#strike(plan, process);
    }
  }

  onEffect(process: string, what: string): void {
    const doom = this.#doomed.get(process as ProcessName);
    if (doom) return this.#strike(doom, process);
    for (const plan of this.#plans) {
      const { effect } = plan.point;
      if (effect === undefined || !(typeof effect === "string" ? what.startsWith(effect) : effect.test(what))) continue;
      if (--plan.left > 0) continue;
      if (plan.moment === "before") this.#strike(plan, process);
      else this.#doom(plan, process);
    }
    this.#count(process, what);
  }

  #count(process: string, what: string): void {
    const counting = this.#counting;
    if (!counting?.processes.includes(process) || HARMLESS.test(what)) return;
    counting.count++;
    if (--counting.left !== 0) return;
    counting.hit = { process: process as ProcessName, what };
    this.#kill(process as ProcessName);
  }

  /** It does this, and nothing after it. */
  #doom(plan: Plan, process: string): void {
    const who = victim(plan, process);
    this.#plans.delete(plan);
    this.#doomed.set(who, plan);
    this.#clock.setTimeout(() => this.#doomed.get(who) === plan && this.#strike(plan, process), 0);
  }

  #strike(plan: Plan, process: string): void {
    const who = victim(plan, process);
    this.#plans.delete(plan);
    this.#doomed.delete(who);
    plan.crash.at = this.#clock.now();
    this.#kill(who);
  }
}

function victim({ point }: Plan, process: string): ProcessName {
  return point.process ?? (process === "worker" ? "worker" : "coordinator");
}
