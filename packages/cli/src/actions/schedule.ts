import {
  CallTimeoutError,
  type Duration,
  encodeValue,
  QueryFailedError,
  QueryUnansweredError,
  RunAlreadyExistsError,
  RunClosedError,
  RunNotFoundError,
} from "@stepstream/contracts";
import type {
  Overlap,
  ScheduleDescription,
  ScheduleHandle,
  ScheduleSummary,
  ScheduleTimes,
} from "@stepstream/sdk/schedule";
import type { Command } from "commander";
import type { CreateFlags } from "../commands/schedule.ts";
import { withBus } from "../connection.ts";
import { CliError, EXIT } from "../exit.ts";
import type { Io } from "../io.ts";
import { readJson } from "../json.ts";
import { type Paint, painter, stateStyle } from "../print/colour.ts";
import { did } from "../print/did.ts";
import { printLine, printPage } from "../print/json.ts";
import { table } from "../print/table.ts";
import { ago, stamp } from "../print/time.ts";
import { described, patternOf } from "../view/schedule.ts";
import { whole } from "../whole.ts";
import { nameless, workflowOf } from "./start.ts";

interface Waiting {
  timeout?: Duration;
}

function waiting({ timeout }: Waiting): Waiting {
  return timeout === undefined ? {} : { timeout };
}

type Act = (handle: ScheduleHandle, flags: any, io: Io) => Promise<string | void>;

/** What is done with one schedule that is there. What they return is said on standard error. */
export const ON_ONE = {
  async show(handle, flags: Waiting, io) {
    const what = await handle.describe(waiting(flags));
    if (io.json) printPage(io, encodeValue(what));
    else io.out.write(`${described(what, io.now(), painter(io, io.out))}\n`);
  },
  async pause(handle, { note, ...flags }: Waiting & { note?: string }) {
    await handle.pause(note, waiting(flags));
    return `schedule ${handle.id} is paused`;
  },
  async resume(handle, { note, ...flags }: Waiting & { note?: string }) {
    await handle.resume(note, waiting(flags));
    return `schedule ${handle.id} goes on`;
  },
  async trigger(handle, flags: Waiting & { overlap?: Overlap; id?: string }, io) {
    printPage(io, await handle.trigger(flags));
  },
  async backfill(handle, flags: Waiting & { from: string; to: string; overlap?: Overlap }, io) {
    printPage(io, await handle.backfill(flags));
  },
  async delete(handle, flags: Waiting & { history?: boolean }) {
    await handle.delete(flags);
    return `schedule ${handle.id} is over`;
  },
} satisfies Record<string, Act>;

export async function onOne(
  command: Command,
  io: Io,
  act: keyof typeof ON_ONE,
  id: string,
  { json: _, ...flags }: { json?: boolean },
): Promise<void> {
  await withBus(command, io, async ({ client, namespace }) => {
    const handle = (await client()).schedules.get(id);
    const said = await (ON_ONE[act] as Act)(handle, flags, io).catch((error) => refuse(id, namespace, error));
    if (said) did(io, said, { schedule: id, done: act });
  });
}

/** A schedule is a run, and its errors speak of that run. */
function refuse(id: string, namespace: string, error: unknown): never {
  if (error instanceof RunNotFoundError)
    throw new CliError(`There is no schedule ${id} in namespace "${namespace}".`, EXIT.notFound);
  if (error instanceof RunClosedError) throw new CliError(`Schedule ${id} is over; nothing was changed.`, EXIT.state);
  if (error instanceof RunAlreadyExistsError)
    throw new CliError(
      `There is, or was, a schedule ${id} already; nothing was changed. --change makes it what is said here; ` +
        `"stepstream schedule delete ${id} --history" makes its id free.`,
      EXIT.state,
    );
  throw error;
}

export async function create(command: Command, io: Io, id: string, called: string, flags: CreateFlags): Promise<void> {
  await withBus(command, io, async (bus) => {
    const { input: said, limit, cron, change, json: _, ...rest } = flags;
    const input = await readJson("--input", said, io);
    const times = {
      ...rest,
      ...(cron && { cron: cron.length === 1 ? cron[0]! : cron }),
      ...(limit !== undefined && { limit: whole("--limit", limit) }),
    } as ScheduleTimes;
    const { name, version } = await workflowOf(bus.log, called);
    await (await bus.client()).schedules
      .create(id, { ...times, workflow: nameless(name, version), input, onConflict: change ? "change" : "reject" })
      .catch((error) => refuse(id, bus.namespace, error));
    did(io, `schedule ${id} starts runs of ${name}@${version}`, {
      schedule: id,
      done: "create",
      workflow: name,
      version,
    });
  });
}

/** Schedules that are asked at a time, and how long each has to answer. */
const AT_A_TIME = 16;
const PATIENCE = "2s";

export async function ls(command: Command, io: Io, flags: { json?: boolean }): Promise<void> {
  await withBus(command, io, async (bus) => {
    const { schedules } = await bus.client();
    const left = await schedules.list({ limit: Number.POSITIVE_INFINITY });
    const rows: string[][] = [];
    const paint = painter(io, io.out);
    let unanswered = 0;
    while (left.length > 0) {
      const some = left.splice(0, AT_A_TIME);
      // Once nobody has answered, nobody will: no coordinator is up, and the others need not be waited for.
      const ask = ({ id }: { id: string }) =>
        unanswered > 0 ? undefined : schedules.get(id).describe({ timeout: PATIENCE }).catch(unlessGone);
      const known = await Promise.all(some.map(ask));
      for (const [i, one] of some.entries()) {
        const what = known[i];
        if (!what) unanswered++;
        if (flags.json) printLine(io, { ...one, ...(what && brief(what)) });
        else rows.push(row(one, what, io.now(), paint));
      }
    }
    if (!flags.json) io.out.write(`${table(COLUMNS, rows, io.out.columns)}\n`);
    if (unanswered > 0 && !flags.json)
      io.err.write(
        `${unanswered} did not answer: their coordinators are not up, or busy; stepstream doctor tells which are.\n`,
      );
  });
}

const COLUMNS = ["SCHEDULE", "STATUS", "WORKFLOW", "WHEN", "NEXT", "MADE"].map((title) => ({ title }));

/** It may have ended since it was listed, or no coordinator is up that knows of it. */
function unlessGone(error: unknown): undefined {
  if (error instanceof QueryUnansweredError || error instanceof CallTimeoutError) return undefined;
  if (error instanceof RunNotFoundError || error instanceof QueryFailedError) return undefined;
  throw error;
}

function brief({ action, times, paused, next }: ScheduleDescription) {
  return { workflow: action.workflow, version: action.version, times, paused, next };
}

function row(one: ScheduleSummary, what: ScheduleDescription | undefined, now: number, paint: Paint): string[] {
  const state = what?.paused ? "paused" : one.status === "running" ? "active" : one.status;
  const style = state === "active" ? "green" : state === "paused" ? "yellow" : stateStyle(one.status);
  const next = what?.next[0];
  return [
    one.id,
    paint(style, state),
    what ? `${what.action.workflow}@${what.action.version}` : "?",
    what ? patternOf(what) : "?",
    next === undefined ? (what ? "nothing" : "?") : `${stamp(next).slice(0, 19)} UTC`,
    ago(now - one.createdAt),
  ];
}
