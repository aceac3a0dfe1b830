/**
 * A schedule is a run of the workflow `_schedule`, which every coordinator brings along: so it survives whatever a run
 * survives, and its times, its starts and what it was told are in its history.
 *
 * S1. Never early: something starts when the history's clock has reached its time, and not before.
 * S2. One run for each time: its id is made of the time, so that starting it again starts nothing.
 * S3. Times are worked out in side effects: the history keeps them, and a replay needs neither library nor time zone data.
 *     No wait is longer than a day, so that a schedule learns of new time zone data within a day.
 * S4. While a run is on and others wait or are skipped, the schedule sleeps; which times came is looked up when it ends.
 * S5. It continues anew only while no run is on that others wait for: a new beginning is not told of an old child's end.
 */

import { ChildError, durationMs, EpochMs, InvalidInputError, pathOf } from "@stepstream/contracts";
import { z } from "zod";
import { defineWorkflow, type None, type ScopedPromise, type WorkflowContext } from "../workflow.ts";
import { look } from "./look.ts";
import { type Due, decide, isPatient, type PolicyEvent, room } from "./policy.ts";
import { CATCH_UP_MS, Note, Overlap, ScheduleAction, ScheduleId, ScheduleTimes } from "./spec.ts";
import { initialState, noteEnd, noteStart, ScheduleDescription, ScheduleState, type StartOutcome } from "./state.ts";
import { compact, problemOf, type Times, timesIn, timesOf } from "./times.ts";

const DAY_MS = 86_400_000;
/** A history that holds so many starts is continued anew at the next occasion. */
const MOST_STARTS = 200;
/** Times that one backfill may have. */
const MOST_BACKFILLED = 1_000;
const TIMES_TOLD = 10;

const ScheduleInput = z.strictObject({
  id: ScheduleId,
  times: ScheduleTimes,
  action: ScheduleAction,
  paused: z.boolean().optional(),
  note: Note.optional(),
  /** What is carried on, after continuing anew. */
  state: ScheduleState.optional(),
});
type ScheduleInput = z.infer<typeof ScheduleInput>;

const queries = {
  /** `now`: from when the next times are told; the client's clock is later than the last message of the history. */
  describe: { input: z.strictObject({ now: EpochMs.optional() }), output: ScheduleDescription },
};
const Noted = z.strictObject({ note: Note.optional() });
const Paused = z.object({ paused: z.boolean() });
const updates = {
  pause: { input: Noted, output: Paused },
  resume: { input: Noted, output: Paused },
  trigger: {
    input: z.strictObject({ overlap: Overlap.optional() }),
    output: z.object({ run: z.string(), outcome: z.enum(["started", "waiting", "skipped"]) }),
  },
  backfill: {
    input: z.strictObject({ from: EpochMs, to: EpochMs, overlap: Overlap.optional() }),
    output: z.object({ started: z.int(), waiting: z.int(), skipped: z.int() }),
  },
  change: {
    input: z.strictObject({
      times: ScheduleTimes,
      action: ScheduleAction.optional(),
      paused: z.boolean().optional(),
      note: Note.optional(),
    }),
    output: Paused,
  },
  delete: { input: z.strictObject({}), output: z.object({ deleted: z.literal(true) }) },
};
type W = WorkflowContext<None, typeof queries, typeof updates>;

/** The workflow behind every schedule. Coordinators bring it along. */
export const scheduleWorkflow = defineWorkflow(
  "_schedule",
  { input: ScheduleInput, output: ScheduleDescription, queries, updates },
  (input, w) => new Schedule(input, w).run(),
);

class Schedule {
  readonly #id: string;
  readonly #w: W;
  #times: ScheduleTimes;
  #action: ScheduleAction;
  #state: ScheduleState;
  /** The next time, and when it starts: by jitter later. "none": there is none any more. */
  #upcoming: { at: number; startAt: number; plannedAt: number } | "none" | undefined;
  #calendar: Times | undefined;
  /** Runs of this segment that have not ended. */
  readonly #children = new Map<string, ScopedPromise<unknown>>();
  #stop: "cancel" | "terminate" | undefined;
  #starts = 0;
  #deleted = false;
  #woken = false;

  constructor(input: ScheduleInput, w: W) {
    this.#id = input.id;
    this.#w = w;
    this.#times = input.times;
    this.#action = input.action;
    this.#state =
      input.state ?? initialState({ now: w.now(), paused: input.paused, note: input.note, limit: input.times.limit });
    if (!input.state) this.#check(input.times);
    this.#listen();
  }

  async run(): Promise<ScheduleDescription> {
    const w = this.#w;
    for (;;) {
      this.#settle();
      if (this.#deleted || this.#isOver()) return this.#describe(undefined);
      const mayContinue = this.#state.running === null || !this.#children.has(this.#state.running);
      if (mayContinue && (this.#starts >= MOST_STARTS || w.history.continueSuggested))
        return w.continueAsNew(this.#carry());
      for (const due of this.#state.starting.splice(0)) this.#start(due);
      this.#stopRunning();
      this.#woken = false;
      const timeout = this.#waitMs();
      await w.until(() => this.#woken, timeout === undefined ? {} : { timeout });
    }
  }

  // ---------------------------------------------------------------- times

  /** Decides on all times that have come. Before anything else changes: they came before it. */
  #settle(): void {
    const w = this.#w;
    const state = this.#state;
    if (state.paused || state.left === 0 || this.#deleted) return;
    const now = w.now();
    const overlap = this.#overlap();
    const catchUpMs = this.#times.catchUp === undefined ? CATCH_UP_MS : durationMs(this.#times.catchUp);
    const jitterMs = durationMs(this.#times.jitter ?? 0);
    const came = (times: readonly number[]) =>
      this.#apply({
        type: "came",
        due: times.map((at) => this.#due(at, "time", overlap)),
        lateMs: ({ at }) => now - at - jitterMs,
        catchUpMs,
      });

    for (;;) {
      const upcoming = this.#upcoming;
      if (upcoming === "none") return;
      if (upcoming && upcoming.startAt <= now) {
        state.settledUpTo = upcoming.at;
        this.#upcoming = undefined;
        came([upcoming.at]);
      } else if (upcoming && now - upcoming.plannedAt < DAY_MS) return;

      const after = this.#state.settledUpTo;
      const patient = this.#state.running !== null && isPatient(overlap);
      const from = patient ? after : now - catchUpMs - jitterMs;
      const seen = w.sideEffect(() =>
        look(this.#calendarNow(), { after, now, from, room: room(this.#state, overlap) }),
      );
      this.#state.settledUpTo = seen.upTo;
      this.#state.counts.missed += seen.missed;
      this.#state.counts.skipped += seen.skipped;
      came(seen.due);
      if (seen.more) continue;
      if (seen.next === null) this.#upcoming = "none";
      else {
        const span = Math.min(jitterMs, seen.then === null ? jitterMs : seen.then - seen.next - 1);
        const later = jitterMs > 0 ? Math.floor(w.random() * (span + 1)) : 0;
        this.#upcoming = { at: seen.next, startAt: seen.next + later, plannedAt: now };
      }
    }
  }

  /** How long there is nothing to do; undefined: until something happens. */
  #waitMs(): number | undefined {
    const { paused, running, left } = this.#state;
    if (paused || left === 0 || (running !== null && isPatient(this.#overlap()))) return undefined;
    const upcoming = this.#upcoming;
    return upcoming === undefined || upcoming === "none"
      ? undefined
      : Math.min(upcoming.startAt - this.#w.now(), DAY_MS);
  }

  #overlap(): Overlap {
    return this.#times.overlap ?? "skip";
  }

  #calendarNow(): Times {
    this.#calendar ??= timesOf(this.#times);
    return this.#calendar;
  }

  /** @throws {InvalidInputError} A pattern or time zone that nobody knows. */
  #check(times: ScheduleTimes): void {
    const problem = this.#w.sideEffect(() => problemOf(times) ?? null);
    if (problem) throw new InvalidInputError(`schedule "${this.#id}"`, pathOf(problem.path), problem.message);
  }

  // ---------------------------------------------------------------- runs

  #due(at: number, cause: Due["cause"], overlap: Overlap): Due {
    return { at, run: `${this.#action.idPrefix}-${compact(at)}`, cause, overlap };
  }

  /** Lets the policy decide, and keeps count. What is to be done is done before the next wait. */
  #apply(event: PolicyEvent): { started: number; skipped: number } {
    const { state, actions } = decide(this.#state, event);
    Object.assign(this.#state, state);
    let [started, skipped] = [0, 0];
    for (const action of actions) {
      if (action.type === "start") {
        this.#state.starting.push(action.due);
        started++;
      } else if (action.type === "stop") this.#stop = action.how;
      else if (action.type === "miss") this.#state.counts.missed++;
      else {
        this.#state.counts.skipped++;
        skipped++;
      }
    }
    if (actions.length > 0 || event.type !== "came") this.#woken = true;
    return { started, skipped };
  }

  #start(due: Due): void {
    const w = this.#w;
    const { workflow, version, input, timeout } = this.#action;
    const target = defineWorkflow(
      workflow,
      { version, input: z.unknown(), output: z.unknown() },
      async () => undefined,
    );
    const options = { id: due.run, onParentClose: "abandon" as const, ...(timeout === undefined ? {} : { timeout }) };
    this.#starts++;
    noteStart(this.#state, { run: due.run, at: due.at, cause: due.cause, startedAt: w.now() });
    const child = w.scope(() => w.child(target, input, options));
    this.#children.set(due.run, child);
    child.then(
      () => this.#ended(due.run, "completed"),
      (error: unknown) => {
        if (!w.cancelled.aborted) this.#ended(due.run, outcomeOf(error), error);
      },
    );
  }

  #ended(run: string, outcome: Exclude<StartOutcome, "running" | "unknown">, error?: unknown): void {
    this.#settle();
    this.#children.delete(run);
    const cause = error instanceof ChildError ? error.cause : error;
    const message = cause instanceof Error ? cause.message : undefined;
    noteEnd(this.#state, run, { outcome, endedAt: this.#w.now(), message });
    this.#apply({ type: "ended", run });
  }

  #stopRunning(): void {
    const how = this.#stop;
    this.#stop = undefined;
    const { running } = this.#state;
    if (how && running !== null) this.#children.get(running)?.cancel(`schedule ${this.#id}: its next time has come`);
  }

  // ---------------------------------------------------------------- what it is told and asked

  #listen(): void {
    const w = this.#w;
    w.onQuery("describe", ({ now }) => this.#describe(Math.max(w.now(), now ?? 0)));
    w.onUpdate("pause", ({ note }) => {
      this.#settle();
      return this.#pause(true, note);
    });
    w.onUpdate("resume", ({ note }) => {
      this.#settle();
      return this.#pause(false, note);
    });
    w.onUpdate("trigger", ({ overlap = this.#overlap() }) => {
      this.#settle();
      const run = `${this.#action.idPrefix}-trigger-${++this.#state.triggers}`;
      const { started, skipped } = this.#apply({
        type: "came",
        due: [{ at: w.now(), run, cause: "trigger", overlap }],
      });
      return { run, outcome: started > 0 ? "started" : skipped > 0 ? "skipped" : "waiting" };
    });
    w.onUpdate("backfill", ({ from, to, overlap = "buffer-all" }) => {
      this.#settle();
      const until = Math.min(to, w.now());
      const times = w.sideEffect(() => {
        const { startAt, ...unbounded } = this.#times;
        return timesIn(timesOf(unbounded), from - 1, until, MOST_BACKFILLED + 1);
      });
      if (times.length > MOST_BACKFILLED)
        throw new RangeError(
          `More than ${MOST_BACKFILLED} times are between ${new Date(from).toISOString()} and ${new Date(until).toISOString()}; nothing was started. Ask for a part at a time.`,
        );
      const { started, skipped } = this.#apply({
        type: "came",
        due: times.map((at) => this.#due(at, "backfill", overlap)),
      });
      return { started, skipped, waiting: times.length - started - skipped };
    });
    w.onUpdate("change", ({ times, action, paused, note }) => {
      this.#check(times);
      this.#settle();
      this.#times = times;
      this.#action = action ?? this.#action;
      this.#calendar = undefined;
      this.#upcoming = undefined;
      this.#state.left = times.limit ?? null;
      this.#state.settledUpTo = w.now();
      return this.#pause(paused ?? this.#state.paused, note);
    });
    w.onUpdate("delete", () => {
      this.#settle();
      this.#deleted = true;
      this.#woken = true;
      return { deleted: true as const };
    });
  }

  #pause(paused: boolean, note: string | undefined): { paused: boolean } {
    if (note !== undefined) this.#state.note = note;
    if (paused !== this.#state.paused) {
      this.#upcoming = undefined;
      this.#apply({ type: paused ? "paused" : "resumed" });
    }
    this.#woken = true;
    return { paused };
  }

  #isOver(): boolean {
    const { paused, left, running, waiting, starting } = this.#state;
    const exhausted = left === 0 || (!paused && this.#upcoming === "none");
    return exhausted && running === null && waiting.length === 0 && starting.length === 0;
  }

  /** @param from - Tells the next times from there; undefined: there are none. */
  #describe(from: number | undefined): ScheduleDescription {
    const { paused, note, left, waiting, counts, recent } = this.#state;
    const most = Math.min(TIMES_TOLD, left ?? TIMES_TOLD);
    return {
      id: this.#id,
      times: this.#times,
      action: this.#action,
      paused,
      note,
      over: from === undefined,
      next: from === undefined ? [] : timesIn(timesOf(this.#times), from, Number.POSITIVE_INFINITY, most),
      running: [...this.#children.keys()],
      waiting: waiting.length,
      left,
      counts,
      recent: recent.toReversed(),
    };
  }

  /** What a new beginning needs to know. It will not be told of the end of what is still on. */
  #carry(): ScheduleInput {
    const state = structuredClone(this.#state);
    for (const start of state.recent) if (start.outcome === "running") start.outcome = "unknown";
    return { id: this.#id, times: this.#times, action: this.#action, state };
  }
}

function outcomeOf(error: unknown): "failed" | "cancelled" | "terminated" | "existing" {
  const cause = error instanceof ChildError ? error.cause : error;
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
