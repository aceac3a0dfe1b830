/**
 * A schedule is a run of the workflow `_schedule`, which every coordinator brings along: so it survives whatever a run
 * survives, and its times, its starts and what it was told are in its history.
 *
 * S1. Never early: something starts when the history's clock has reached its time, and not before.
 * S2. One run for each time: its id is made of the time, so starting it again starts nothing.
 * S3. Times are worked out in side effects: the history keeps them, and a replay asks neither the cron library nor the
 *     time zone data. No wait is longer than a day, so a schedule learns of new time zone data within a day.
 * S4. Whatever changes a schedule, what came before is decided on first.
 * S5. While times have to wait for a run, or are skipped, the schedule sleeps; which came is looked up when it ends.
 * S6. It goes on as new only while no run is on that others wait for: the new life is not told of that run's end.
 * S7. Deleting a schedule leaves its runs alone. It lives on, and starts nothing, until one that it may stop has ended.
 *
 * Checked elsewhere:
 *   S1 S2  test/schedules/workflow.test.ts: with the time in its id (S1, S2)
 *   S3  test/schedules/workflow.test.ts: for time zone data changes (S3)
 *   S4  test/schedules/workflow.test.ts: counts from now on; what came before it is settled by the old rules
 *   S5  test/schedules/workflow.test.ts: and then says how many came (S5)
 *   S6  test/schedules/workflow.test.ts: and forgets nothing (S6)
 *   S7  test/schedules/workflow.test.ts: by delete waits for a run that it would otherwise stop, and takes no more orders
 */

import { ChildError, durationMs, encodeValue, InvalidInputError, pathOf } from "@stepstream/contracts";
import { z } from "zod";
import { defineWorkflow, type None, type ScopedPromise, type WorkflowContext } from "../workflow.ts";
import { type Look, look } from "./look.ts";
import { type Due, decide, isPatient, type PolicyAction, type PolicyEvent, room } from "./policy.ts";
import { queries, type ScheduleInput, Started, updates } from "./protocol.ts";
import { CATCH_UP_MS, type Overlap, type ScheduleAction, type ScheduleTimes } from "./spec.ts";
import {
  initialState,
  noteEnd,
  noteStart,
  type RunOutcome,
  ScheduleDescription,
  type ScheduleStart,
  type ScheduleState,
} from "./state.ts";
import { compact, problemOf, type Times, timesIn, timesOf } from "./times.ts";

const DAY_MS = 86_400_000;
/** A life that has started so many goes on as new at the next occasion. */
const MOST_STARTS = 200;
/** Times that one backfill may have. */
const MOST_BACKFILLED = 1_000;
const TIMES_TOLD = 10;

type W = WorkflowContext<None, typeof queries, typeof updates>;

/** The workflow behind every schedule. Coordinators bring it along. */
export const scheduleWorkflow = defineWorkflow(
  "_schedule",
  { input: Started, output: ScheduleDescription, queries, updates },
  (input, w) => new Schedule(input, w).run(),
);

class Schedule {
  readonly #id: string;
  readonly #w: W;
  #times: ScheduleTimes;
  #action: ScheduleAction;
  readonly #state: ScheduleState;
  /** The next time, and when it starts: by jitter later. "none": no more will come. undefined: not looked up. */
  #upcoming: { at: number; startAt: number; lookedUpAt: number } | "none" | undefined;
  #calendar: Times | undefined;
  /** The runs of this life that have not ended. */
  readonly #children = new Map<string, ScopedPromise<unknown>>();
  #starts = 0;
  /** Something was asked for in this turn, perhaps: a life that ends in the turn of a child's start takes it back. */
  #fresh = false;
  /** Somebody was told "started": it is started in the same turn. */
  #promised = false;
  #deleted = false;
  #woken = false;
  /** The workflow function has ended; what is still told to it changes nothing. */
  #ended = false;

  constructor(input: ScheduleInput, w: W) {
    const { id, times, action, paused, note, state } = input;
    this.#id = id;
    this.#w = w;
    this.#times = times;
    this.#action = action;
    this.#state = state ? structuredClone(state) : initialState({ now: w.now(), paused, note, limit: times.limit });
    if (!state) this.#check(times);
    this.#listen();
  }

  async run(): Promise<ScheduleDescription> {
    const w = this.#w;
    try {
      for (;;) {
        this.#settle();
        const over = this.#isOver();
        if (over || this.#mayGoOnAsNew()) {
          if (this.#fresh) {
            this.#fresh = false;
            this.#promised = false;
            await w.until(() => this.#promised, { timeout: 0 });
            if (this.#promised) this.#startAll();
            continue;
          }
          if (over) return this.#describe(undefined);
          this.#ended = true;
          return await w.continueAsNew(this.#carry());
        }
        this.#woken = false;
        this.#startAll();
        const waitMs = this.#waitMs();
        await w.until(() => this.#woken || this.#isOver(), waitMs === undefined ? {} : { timeout: waitMs });
      }
    } finally {
      this.#ended = true;
    }
  }

  // ---------------------------------------------------------------- times

  /** Decides on all times that have come (S4). */
  #settle(): void {
    const state = this.#state;
    if (state.paused || state.left === 0 || this.#deleted) return;
    const now = this.#w.now();
    for (;;) {
      const upcoming = this.#upcoming;
      if (upcoming === "none") return;
      if (upcoming && upcoming.startAt <= now) {
        this.#upcoming = undefined;
        state.settledUpTo = upcoming.at;
        this.#come([upcoming.at]);
      } else if (upcoming && now - upcoming.lookedUpAt < DAY_MS) return;

      const seen = this.#look(now);
      state.settledUpTo = seen.upTo;
      state.counts.missed += seen.missed;
      state.counts.skipped += seen.skipped;
      this.#come(seen.due);
      if (!seen.more) this.#upcoming = seen.next === null ? "none" : this.#withJitter(seen.next, seen.nextButOne);
    }
  }

  #look(now: number): Look {
    const after = this.#state.settledUpTo;
    const overlap = this.#overlap;
    const patient = this.#state.running !== null && isPatient(overlap);
    const from = patient ? after : now - this.#catchUpMs - this.#jitterMs;
    return this.#w.sideEffect(() => {
      this.#calendar ??= timesOf(this.#times);
      return look(this.#calendar, { after, now, from, room: room(this.#state, overlap) });
    });
  }

  #come(times: readonly number[]): void {
    const now = this.#w.now();
    const due = times.map((at) => this.#due(at, "time", this.#overlap));
    const lateMs = ({ at }: Due) => now - at - this.#jitterMs;
    if (due.length > 0) this.#apply({ type: "came", due, lateMs, catchUpMs: this.#catchUpMs });
  }

  #withJitter(at: number, nextButOne: number | null) {
    const span = Math.min(this.#jitterMs, nextButOne === null ? this.#jitterMs : nextButOne - at - 1);
    const laterMs = span > 0 ? Math.floor(this.#w.random() * (span + 1)) : 0;
    return { at, startAt: at + laterMs, lookedUpAt: this.#w.now() };
  }

  /** How long there is nothing to do; undefined: until something happens. */
  #waitMs(): number | undefined {
    const { paused, running, left } = this.#state;
    const upcoming = this.#upcoming;
    if (paused || left === 0 || this.#deleted || upcoming === undefined || upcoming === "none") return undefined;
    if (running !== null && isPatient(this.#overlap)) return undefined;
    return Math.min(upcoming.startAt - this.#w.now(), DAY_MS);
  }

  get #overlap(): Overlap {
    return this.#times.overlap ?? "skip";
  }
  get #catchUpMs(): number {
    return this.#times.catchUp === undefined ? CATCH_UP_MS : durationMs(this.#times.catchUp);
  }
  get #jitterMs(): number {
    return durationMs(this.#times.jitter ?? 0);
  }

  /** @throws {InvalidInputError} A pattern or time zone that nobody knows here. */
  #check(times: ScheduleTimes): void {
    const problem = this.#w.sideEffect(() => problemOf(times) ?? null);
    if (problem) throw new InvalidInputError(`schedule "${this.#id}"`, pathOf(problem.path), problem.message);
  }

  // ---------------------------------------------------------------- runs

  #due(at: number, cause: Due["cause"], overlap: Overlap): Due {
    return { at, run: `${this.#action.idPrefix}-${compact(at)}`, cause, overlap };
  }

  /** Lets the policy decide, and keeps count. What it starts is started before the next wait. */
  #apply(event: PolicyEvent): PolicyAction[] {
    const { state, actions } = decide(this.#state, event);
    Object.assign(this.#state, state);
    const { starting, counts } = this.#state;
    for (const action of actions) {
      if (action.type === "start") starting.push(action.due);
      else if (action.type === "skip") counts.skipped += action.why === "overlap" ? 1 : 0;
      else if (action.type === "miss") counts.missed++;
      else this.#stop(action.run);
    }
    this.#woken = true;
    return actions;
  }

  #startAll(): void {
    const { starting } = this.#state;
    for (let due = starting.shift(); due; due = starting.shift()) this.#start(due);
  }

  #start(due: Due): void {
    const w = this.#w;
    const { workflow, version, input, timeout } = this.#action;
    this.#starts++;
    this.#fresh = true;
    const entry = noteStart(this.#state, { run: due.run, at: due.at, cause: due.cause, startedAt: w.now() });
    // The same time once more, by a backfill.
    if (this.#children.has(due.run)) return this.#noteEnd(entry, "existing");
    const target = defineWorkflow(
      workflow,
      { version, input: z.unknown(), output: z.unknown() },
      async () => undefined,
    );
    const onParentClose = CLOSE[due.overlap];
    const options = { id: due.run, onParentClose, ...(timeout === undefined ? {} : { timeout }) };
    const child = w.scope(() => w.child(target, input, options));
    this.#children.set(due.run, child);
    const over = (outcome: RunOutcome, error?: unknown) => {
      if (this.#ended || w.cancelled.aborted) return;
      this.#settle();
      this.#children.delete(due.run);
      this.#noteEnd(entry, outcome, error);
    };
    child.then(
      () => over("completed"),
      (error: unknown) => over(error instanceof ChildError ? outcomeOf(error) : STOPPED[onParentClose], error),
    );
    // It was decided in the same breath that it is to be stopped.
    const { running } = this.#state;
    if (running?.run === due.run && running.stopping) this.#stop(due.run);
  }

  #stop(run: string): void {
    this.#children.get(run)?.cancel(`it is time for the next run of schedule "${this.#id}"`);
  }

  #noteEnd(entry: ScheduleStart, outcome: RunOutcome, error?: unknown): void {
    const cause = error instanceof ChildError ? error.cause : error;
    const message = cause instanceof Error ? cause.message : undefined;
    noteEnd(this.#state, entry, { outcome, endedAt: this.#w.now(), message });
    this.#apply({ type: "ended", run: entry.run });
  }

  // ---------------------------------------------------------------- what it is asked and told

  #listen(): void {
    const w = this.#w;
    w.onQuery("describe", ({ now }) => this.#describe(Math.max(w.now(), now ?? 0)));
    w.onUpdate("pause", ({ note }) => this.#change(() => this.#pause(true, note)));
    w.onUpdate("resume", ({ note }) => this.#change(() => this.#pause(false, note)));
    w.onUpdate("trigger", ({ overlap = this.#overlap }) =>
      this.#change(() => {
        const at = Math.max(w.now(), this.#state.triggeredAt + 1);
        this.#state.triggeredAt = at;
        const run = `${this.#action.idPrefix}-t-${compact(at)}`;
        const [fate] = this.#byHand([{ at, run, cause: "trigger", overlap }]);
        return { run, outcome: fate! };
      }),
    );
    w.onUpdate("backfill", ({ from, to, overlap = "buffer-all" }) =>
      this.#change(() => {
        const until = Math.min(to, w.now());
        const times = w.sideEffect(() => {
          const { startAt, ...unbounded } = this.#times;
          return timesIn(timesOf(unbounded), from - 1, until, MOST_BACKFILLED + 1);
        });
        if (times.length > MOST_BACKFILLED) {
          const range = `${new Date(from).toISOString()} and ${new Date(until).toISOString()}`;
          throw new RangeError(
            `There are more than ${MOST_BACKFILLED} times between ${range}; nothing was started. Ask for a part of them.`,
          );
        }
        const fates = this.#byHand(times.map((at) => this.#due(at, "backfill", overlap)));
        const count = (fate: string) => fates.filter((one) => one === fate).length;
        return { started: count("started"), waiting: count("waiting"), skipped: count("skipped") };
      }),
    );
    w.onUpdate("change", ({ times, action = this.#action, paused = this.#state.paused, note }) =>
      this.#change(() => {
        // Said again, as programs do when they start: a limit goes on, and no time is decided on before it must.
        if (!same(times, this.#times) || !same(action, this.#action)) this.#become(times, action);
        return this.#pause(paused, note);
      }),
    );
    w.onUpdate("delete", () => {
      this.#settle();
      this.#deleted = true;
      this.#woken = true;
      this.#state.waiting = [];
      return { deleted: true as const };
    });
  }

  #change<T>(change: () => T): T {
    if (this.#deleted) throw new Error(`Schedule "${this.#id}" was deleted; nothing was changed. Make a new one.`);
    this.#settle();
    this.#woken = true;
    return change();
  }

  #pause(paused: boolean, note: string | undefined): { paused: boolean } {
    if (note !== undefined) this.#state.note = note;
    if (paused !== this.#state.paused) {
      this.#upcoming = undefined;
      this.#apply({ type: paused ? "paused" : "resumed" });
    }
    return { paused };
  }

  /** Other times, from now on. */
  #become(times: ScheduleTimes, action: ScheduleAction): void {
    this.#check(times);
    this.#hurry();
    this.#times = times;
    this.#action = action;
    this.#calendar = undefined;
    this.#upcoming = undefined;
    this.#state.left = times.limit ?? null;
    this.#state.settledUpTo = this.#w.now();
  }

  /** A time that has come, and whose start jitter has put off, starts now. */
  #hurry(): void {
    const now = this.#w.now();
    if (typeof this.#upcoming !== "object" || this.#upcoming.at > now) return;
    this.#upcoming.startAt = now;
    this.#settle();
  }

  #byHand(due: readonly Due[]): ("started" | "waiting" | "skipped")[] {
    const fates = new Map<Due, "started" | "skipped">();
    for (const action of this.#apply({ type: "came", due }))
      if (action.type !== "stop") fates.set(action.due, action.type === "start" ? "started" : "skipped");
    this.#promised ||= [...fates.values()].includes("started");
    return due.map((one) => fates.get(one) ?? "waiting");
  }

  #isOver(): boolean {
    const { paused, left, running, waiting, starting } = this.#state;
    if (this.#deleted) return starting.length === 0 && !running?.stoppable;
    const exhausted = left === 0 || (!paused && this.#upcoming === "none");
    return exhausted && running === null && waiting.length === 0 && starting.length === 0;
  }

  #mayGoOnAsNew(): boolean {
    const { running } = this.#state;
    if (running && this.#children.has(running.run)) return false;
    return this.#starts >= MOST_STARTS || this.#w.history.continueSuggested;
  }

  /** @param from - Tells the next times after it; undefined: there are none any more. */
  #describe(from: number | undefined): ScheduleDescription {
    const { paused, note, left, waiting, counts, recent } = this.#state;
    const ended = from === undefined || this.#ended;
    const over = ended || this.#deleted;
    const most = Math.min(TIMES_TOLD, left ?? TIMES_TOLD);
    return {
      id: this.#id,
      times: this.#times,
      action: this.#action,
      paused,
      note,
      over,
      next: over ? [] : timesIn(timesOf(this.#times), from, Number.POSITIVE_INFINITY, most),
      running: ended ? [] : [...this.#children.keys()],
      waiting: waiting.length,
      left,
      counts,
      recent: (ended ? recent.map(untold) : recent).toReversed(),
    };
  }

  /** What the new life needs to know. */
  #carry(): ScheduleInput {
    const state = { ...this.#state, recent: this.#state.recent.map(untold) };
    return { id: this.#id, times: this.#times, action: this.#action, state };
  }
}

/** For a life that is over: it will not be told how this one ends. */
function untold(start: ScheduleStart): ScheduleStart {
  return start.outcome === "running" ? { ...start, outcome: "unknown" } : start;
}

/** A run is asked to stop in the way that its policy says; one that must not be stopped is left alone. */
const CLOSE = {
  skip: "abandon",
  "buffer-one": "abandon",
  "buffer-all": "abandon",
  "allow-all": "abandon",
  "cancel-other": "cancel",
  "terminate-other": "terminate",
} as const satisfies Record<Overlap, string>;

/** What has become of a run that was asked to stop, and did. */
const STOPPED = { abandon: "cancelled", cancel: "cancelled", terminate: "terminated" } as const;

/** Both have been through the same schema, so their keys are in the same order. */
function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(encodeValue(one)) === JSON.stringify(encodeValue(other));
}

function outcomeOf({ cause }: ChildError): RunOutcome {
  switch ((cause as { code?: unknown } | undefined)?.code) {
    case "WORKFLOW_CANCELLED":
      return "cancelled";
    case "WORKFLOW_TERMINATED":
      return "terminated";
    case "RUN_ALREADY_EXISTS":
      return "existing";
    default:
      return "failed";
  }
}
