import {
  type Duration,
  encodeValue,
  RunAlreadyExistsError,
  RunClosedError,
  RunNotFoundError,
} from "@stepstream/contracts";
import type { Overlap, ScheduleHandle, ScheduleTimes } from "@stepstream/sdk/schedule";
import type { Command } from "commander";
import type { CreateFlags } from "../commands/schedule.ts";
import { withBus } from "../connection.ts";
import { CliError, EXIT } from "../exit.ts";
import type { Io } from "../io.ts";
import { readJson } from "../json.ts";
import { painter, stateStyle } from "../print/colour.ts";
import { did } from "../print/did.ts";
import { printLine, printPage } from "../print/json.ts";
import { table } from "../print/table.ts";
import { ago } from "../print/time.ts";
import { described } from "../view/schedule.ts";
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

export async function ls(command: Command, io: Io, flags: { json?: boolean }): Promise<void> {
  await withBus(command, io, async (bus) => {
    const client = await bus.client();
    const all = await client.schedules.list({ limit: 1_000 });
    if (flags.json) {
      for (const one of all) printLine(io, one);
      return;
    }
    const paint = painter(io, io.out);
    const rows = all.map((one) => [one.id, paint(stateStyle(one.status), one.status), ago(io.now() - one.createdAt)]);
    io.out.write(`${table([{ title: "SCHEDULE" }, { title: "STATUS" }, { title: "MADE" }], rows)}\n`);
  });
}
