import {
  CallTimeoutError,
  checkDefinition,
  checkKeys,
  checkObject,
  checkOptions,
  checkWhole,
  type Duration,
  InvalidInputError,
  RunAlreadyExistsError,
  RunClosedError,
  RunNotFoundError,
  refuse,
  toWire,
} from "@stepstream/contracts";
import { CALL_TIMEOUT, type CallOptions, timeoutMs } from "../call-timeout.ts";
import type { Client } from "../client.ts";
import type { HandleOf } from "../run-handle.ts";
import type { RunStatus } from "../run-status.ts";
import type { AnyWorkflow, WorkflowInput } from "../workflow.ts";
import { checkTimes, parsed, under } from "./preview.ts";
import type { Backfilled, Triggered } from "./protocol.ts";
import {
  type Instant,
  instantMs,
  Note,
  type Overlap,
  ScheduleAction,
  ScheduleId,
  type ScheduleTimes,
  TIMES,
} from "./spec.ts";
import type { ScheduleDescription, ScheduleStart } from "./state.ts";
import { scheduleWorkflow } from "./workflow.ts";

/** The part of a client that schedules have use for. */
export type ScheduleClient = Pick<Client, "start" | "handle" | "get" | "list">;

/** What is started at each of the times. */
export type ScheduledRun<W extends AnyWorkflow> = {
  workflow: W;
  /** What the ids of the runs begin with: `<idPrefix>-20261123T020000Z`. Default: the schedule's id. */
  idPrefix?: string;
  /** A run fails if it has not ended in this time. Default: none. */
  timeout?: Duration;
} & (undefined extends WorkflowInput<W> ? { input?: WorkflowInput<W> } : { input: WorkflowInput<W> });

interface Calling {
  /** How long this call waits until it is done. Default "30s". */
  callTimeout?: Duration;
}

interface Standing {
  /** Nothing starts by itself until it is resumed. Default: as it is; false for a new schedule. */
  paused?: boolean;
  /** For people. */
  note?: string;
}

export type ScheduleOptions<W extends AnyWorkflow> = ScheduleTimes &
  Standing &
  Calling &
  ScheduledRun<W> & {
    /** If there is a schedule with this id: "reject" (default) throws; "change" makes it what is said here. */
    onConflict?: "reject" | "change";
  };

/** Times as a whole, and what is started, if that changes too. */
export type ScheduleChange<W extends AnyWorkflow> = ScheduleTimes &
  Standing &
  Calling &
  (ScheduledRun<W> | { [K in keyof ScheduledRun<W>]?: never });

export interface ScheduleSummary {
  id: string;
  status: RunStatus["status"];
  /** When it was made, in epoch ms by the server's clock. */
  createdAt: number;
}

const PREFIX = "sched-";

/** The id of the run that a schedule is. */
export function runOfSchedule(id: string): string {
  return PREFIX + id;
}

/**
 * Makes a schedule: resolves once that is stored. From then on coordinators start its runs, and no client is needed.
 *
 * @param id - 1 to 42 of A-Z a-z 0-9 _ -. Like a run's id: taken until the history of the schedule is deleted.
 * @throws {InvalidInputError} Times or input make no sense; nothing was sent. `path` says where.
 * @throws {RunAlreadyExistsError} There is, or was, a schedule with this id.
 * @throws {LogUnavailableError} No answer. Whether it was made is unknown; making it again is safe.
 * @throws {CallTimeoutError} The same, after `callTimeout`.
 * @example
 * await createSchedule(client, "nightly", { cron: "0 2 * * *", timezone: "Europe/Berlin", workflow: report, input: {} });
 */
export async function createSchedule<W extends AnyWorkflow>(
  client: ScheduleClient,
  id: string,
  options: ScheduleOptions<W>,
): Promise<ScheduleHandle> {
  checkId(id);
  checkObject(`options of schedule "${id}"`, options);
  const { onConflict = "reject", ...rest } = options;
  checkDefinition("workflow", `workflow of schedule "${id}"`, rest.workflow);
  const { times, action, paused, note, call } = read(id, rest as ScheduleOptions<W>);
  const input = {
    id,
    times,
    action: action!,
    ...(paused === undefined ? {} : { paused }),
    ...(note === undefined ? {} : { note }),
  };
  const handle = new ScheduleHandle(client, id);
  try {
    await client.start(scheduleWorkflow, input, {
      id: runOfSchedule(id),
      ...(call.timeout === undefined ? {} : { callTimeout: call.timeout }),
    });
  } catch (error) {
    if (onConflict === "reject" || !(error instanceof RunAlreadyExistsError)) throw error;
    await handle.change(rest as ScheduleChange<W>);
  }
  return handle;
}

/** A handle on a schedule. Looks nothing up: its methods do. */
export function scheduleHandle(client: ScheduleClient, id: string): ScheduleHandle {
  checkId(id);
  return new ScheduleHandle(client, id);
}

/**
 * A schedule, from outside. What changes it resolves once the schedule has done it.
 *
 * All of it throws RunNotFoundError where there is no such schedule, and what changes it RunClosedError where it is over.
 * Each call waits for `timeout`, 30 s by default (`describe`: 5 s), and throws a CallTimeoutError after that.
 */
export class ScheduleHandle {
  readonly id: string;
  readonly #client: ScheduleClient;
  readonly #run: HandleOf<typeof scheduleWorkflow>;

  constructor(client: ScheduleClient, id: string) {
    this.id = id;
    this.#client = client;
    this.#run = client.handle(scheduleWorkflow, runOfSchedule(id));
  }

  /** The id of the run that the schedule is: its history is that of the schedule. */
  get runId(): string {
    return this.#run.id;
  }

  /** Nothing starts by itself until `resume`. What is on goes on; what waits, waits. */
  async pause(note?: string, options: CallOptions = {}): Promise<void> {
    await this.#run.update("pause", noted(note), waiting("pause", options));
  }

  /** Times that came in the pause no longer ago than `catchUp` are made up for. */
  async resume(note?: string, options: CallOptions = {}): Promise<void> {
    await this.#run.update("resume", noted(note), waiting("resume", options));
  }

  /**
   * Starts a run now, also in a pause; its id is `<idPrefix>-t-<time>`. Resolves once that is decided: the run itself can
   * be found a moment later.
   *
   * @param options.overlap - If a run is on. Default: as the schedule.
   * @param options.id - Its identity: the same id again is the same trigger. Default: a random one.
   */
  async trigger(options: { overlap?: Overlap; id?: string } & CallOptions = {}): Promise<Triggered> {
    const call = waiting("trigger", options, ["overlap", "id"]);
    const { overlap, id } = options;
    return this.#run.update("trigger", overlap ? { overlap } : {}, { ...call, ...(id === undefined ? {} : { id }) });
  }

  /**
   * Starts the runs of times that have been, by what the schedule's times are now. A time that has a run already gets
   * no second one. At most 1,000 times.
   *
   * @param options.from - The first time, itself included, also before `startAt`. Not before 1970.
   * @param options.to - The last, itself included; not later than now.
   * @param options.overlap - Default "buffer-all": one after the other.
   */
  async backfill(
    options: { from: Instant | Date; to: Instant | Date; overlap?: Overlap } & CallOptions,
  ): Promise<Backfilled> {
    checkObject("options of backfill", options);
    const call = waiting("backfill", options, ["from", "to", "overlap"]);
    const { overlap } = options;
    const [from, to] = [epoch(this.id, "from", options.from), epoch(this.id, "to", options.to)];
    return this.#run.update("backfill", { from, to, ...(overlap ? { overlap } : {}) }, call);
  }

  /**
   * Makes its times what is said here, all of them, from now on; what came before is decided on by the old ones. With a
   * `workflow`: also what is started. A limit counts anew; saying what is so already changes nothing.
   *
   * @throws {InvalidInputError} Times or input make no sense; nothing was sent.
   */
  async change<W extends AnyWorkflow>(change: ScheduleChange<W>): Promise<void> {
    checkObject(`change of schedule "${this.id}"`, change);
    const { times, action, paused, note, call } = read(this.id, change as ScheduleOptions<W>);
    const input = {
      times,
      ...(action && { action }),
      ...(paused === undefined ? {} : { paused }),
      ...noted(note),
    };
    await this.#run.update("change", input, call);
  }

  /**
   * What it is, what it has started, what comes next; also when it is over. Answered by a coordinator; runs that the
   * schedule does not wait for are looked up.
   *
   * @throws {QueryUnansweredError} No coordinator answered.
   */
  async describe(options: CallOptions = {}): Promise<ScheduleDescription> {
    const call = waiting("describe", options);
    const told = await this.#run.query("describe", { now: Date.now() }, call);
    const recent = await Promise.all(told.recent.map((start) => this.#lookUp(start, call)));
    const on = recent.filter(({ outcome }) => outcome === "running").map(({ run }) => run);
    return { ...told, recent, running: [...new Set([...told.running, ...on])] };
  }

  /**
   * Ends it: nothing is started any more, not even what waits. Runs that are on go on. One that is over stays so.
   *
   * @param options.history - Also deletes what is stored of it, so that its id is free; the history of its runs stays.
   * Waits until it is over: with "cancel-other" and "terminate-other" that is when its last run has ended.
   * @param options.timeout - For each of its parts. Deleting it again after a time-out is safe.
   */
  async delete(options: { history?: boolean } & CallOptions = {}): Promise<void> {
    const call = waiting("delete", options, ["history"]);
    const { status } = await this.#run.status(call);
    if (status === "running" || status === "parked")
      await this.#run.update("delete", {}, call).catch((error: unknown) => {
        if (!(error instanceof RunClosedError)) throw error;
      });
    if (!options.history) return;
    await this.#run.result({ timeout: CALL_TIMEOUT, ...call }).catch((error: unknown) => {
      // How it ended does not matter; that it has not does.
      if (error instanceof CallTimeoutError) throw error;
    });
    await this.#run.delete(call);
  }

  async #lookUp(start: ScheduleStart, call: CallOptions): Promise<ScheduleStart> {
    if (start.outcome !== "unknown") return start;
    try {
      const { status, endedAt, error } = await this.#client.get(start.run).status(call);
      const outcome = status === "parked" ? "running" : status;
      return {
        ...start,
        outcome,
        ...(endedAt === undefined ? {} : { endedAt }),
        ...(error === undefined ? {} : { message: error.message }),
      };
    } catch (error) {
      if (error instanceof RunNotFoundError) return start;
      throw error;
    }
  }
}

/** The schedules of a client. */
export class Schedules {
  readonly #client: ScheduleClient;

  constructor(client: ScheduleClient) {
    this.#client = client;
  }

  /** See {@link createSchedule}. */
  create<W extends AnyWorkflow>(id: string, options: ScheduleOptions<W>): Promise<ScheduleHandle> {
    return createSchedule(this.#client, id, options);
  }

  /** A handle on a schedule. Looks nothing up: its methods do. */
  get(id: string): ScheduleHandle {
    return scheduleHandle(this.#client, id);
  }

  /** Schedules that are not over, newest first. Reads as many runs as there are: for people. */
  async list(options: { limit?: number; timeout?: Duration } = {}): Promise<ScheduleSummary[]> {
    checkOptions("list", options, ["limit", "timeout"]);
    const { limit = 100, timeout = "30s" } = options;
    if (limit !== Number.POSITIVE_INFINITY) checkWhole("limit", limit);
    const runs = await this.#client.list({ workflow: scheduleWorkflow, limit: Number.POSITIVE_INFINITY, timeout });
    return runs
      .filter(({ id, status }) => id.startsWith(PREFIX) && (status === "running" || status === "parked"))
      .slice(0, limit)
      .map(({ id, status, startedAt }) => ({ id: id.slice(PREFIX.length), status, createdAt: startedAt }));
  }
}

const OPTIONS = [...TIMES, "workflow", "input", "idPrefix", "timeout", "paused", "note", "callTimeout"];

/** What was said, checked as far as it can be here. */
function read(id: string, said: ScheduleOptions<AnyWorkflow>) {
  const what = `schedule "${id}"`;
  checkKeys(`of ${what}`, said, OPTIONS);
  const { workflow, input, idPrefix = id, timeout, paused, note, callTimeout, ...rest } = said;
  const call = waiting(what, { timeout: callTimeout });
  const times = checkTimes(what, rest);
  if (note !== undefined) parsed(what, Note, note, ["note"]);
  if (workflow === undefined) return { times, action: undefined, paused, note, call };
  checkDefinition("workflow", `workflow of ${what}`, workflow);
  const { name, version } = workflow as AnyWorkflow;
  const sent = toWire(workflow.input, input);
  if (!sent.ok) throw new InvalidInputError(`${what}, workflow "${name}"`, under("input", sent.path), sent.message);
  const action = { workflow: name, version, input, idPrefix, ...(timeout === undefined ? {} : { timeout }) };
  return { times, action: parsed(what, ScheduleAction, action), paused, note, call };
}

function epoch(id: string, path: string, instant: Instant | Date): number {
  const ms = instant instanceof Date ? instant.getTime() : instantMs(instant);
  if (Number.isSafeInteger(ms) && ms >= 0) return ms;
  throw new InvalidInputError(`backfill of schedule "${id}"`, path, `"${instant}" is no time since 1970`);
}

function noted(note: string | undefined): { note?: string } {
  return note === undefined ? {} : { note };
}

/** @throws {RangeError} The options are none, or the time-out is none. */
function waiting(
  what: string,
  options: { timeout?: Duration | undefined },
  others: readonly string[] = [],
): CallOptions {
  checkOptions(what, options, [...others, "timeout"]);
  const { timeout } = options;
  if (timeout === undefined) return {};
  timeoutMs(timeout);
  return { timeout };
}

/** @throws {RangeError} */
function checkId(id: string): void {
  if (!ScheduleId.safeParse(id).success) refuse("id of a schedule", id, "1 to 42 of A-Z a-z 0-9 _ -");
}
