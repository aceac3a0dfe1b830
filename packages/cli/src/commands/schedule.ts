import { type Duration, RunAlreadyExistsError, RunClosedError, RunNotFoundError } from "@stepstream/contracts";
import type { Overlap, ScheduleHandle, ScheduleTimes } from "@stepstream/sdk/schedule";
import { type Command, Option } from "commander";
import { type Bus, withBus } from "../connection.ts";
import { CliError, EXIT } from "../errors.ts";
import { examplesOf } from "../examples.ts";
import type { Io } from "../io.ts";
import { pretty, readJson } from "../json.ts";
import { painter, stateStyle } from "../print/colour.ts";
import { table } from "../print/table.ts";
import { ago } from "../print/time.ts";
import { described } from "../view/schedule.ts";
import { nameless, workflowOf } from "./start.ts";

const EXAMPLES = `
Examples:
  $ stepstream schedule create nightly report --cron '0 2 * * *' --timezone Europe/Berlin --input '{}'
  $ stepstream schedule ls
  $ stepstream schedule show nightly
  $ stepstream schedule pause nightly --note "until the migration is over"
  $ stepstream schedule resume nightly
  $ stepstream schedule trigger nightly --overlap allow-all
  $ stepstream schedule backfill nightly --from 2026-11-01T00:00:00Z --to 2026-11-08T00:00:00Z
  $ stepstream schedule delete nightly --history`;

const OVERLAPS: readonly Overlap[] = [
  "skip",
  "buffer-one",
  "buffer-all",
  "cancel-other",
  "terminate-other",
  "allow-all",
];

export function addSchedule(program: Command, io: Io): void {
  const schedule = program
    .command("schedule")
    .description("runs that are started by the clock")
    .addHelpText("after", EXAMPLES);
  addCreate(schedule, io);
  addLs(schedule, io);

  /** A command on one schedule that is there. */
  function on<F extends object>(
    command: Command,
    act: (handle: ScheduleHandle, flags: F & Waiting) => Promise<string | void>,
    wait = "30s",
  ) {
    command
      .option("--timeout <duration>", `how long to wait for the answer (default: ${wait})`)
      .addHelpText("after", examplesOf(EXAMPLES, `schedule ${command.name()}`))
      .action((id: string, flags: F & Waiting, command: Command) =>
        withBus(command, io, async ({ client, namespace }) => {
          const said = await act(client.schedules.get(id), flags).catch((error) => refuse(id, namespace, error));
          if (said) io.err.write(`${said}\n`);
        }),
      );
  }

  on<{ json?: boolean }>(
    schedule
      .command("show <id>")
      .description("what it is, what it has started, what comes next")
      .option("--json", "as JSON"),
    async (handle, flags) => {
      const what = await handle.describe(waiting(flags));
      io.out.write(`${flags.json ? pretty(what) : described(what, io.now(), painter(io, io.out))}\n`);
    },
    "5s",
  );
  on<{ note?: string }>(
    schedule.command("pause <id>").description("nothing starts by itself until resume").option("--note <text>"),
    async (handle, { note, ...flags }) => {
      await handle.pause(note, waiting(flags));
      return `schedule ${handle.id} is paused`;
    },
  );
  on<{ note?: string }>(
    schedule.command("resume <id>").description("go on after a pause").option("--note <text>"),
    async (handle, { note, ...flags }) => {
      await handle.resume(note, waiting(flags));
      return `schedule ${handle.id} goes on`;
    },
  );
  on<{ overlap?: Overlap; id?: string }>(
    schedule
      .command("trigger <id>")
      .description("start a run now, also in a pause; prints what became of it")
      .addOption(overlap())
      .option("--id <id>", "the trigger's identity: the same again is the same trigger"),
    async (handle, flags) => void io.out.write(`${pretty(await handle.trigger(flags))}\n`),
  );
  on<{ from: string; to: string; overlap?: Overlap }>(
    schedule
      .command("backfill <id>")
      .description("start the runs of times that have been, at most 1,000")
      .requiredOption("--from <time>", "ISO 8601 with a zone; itself included")
      .requiredOption("--to <time>", "ISO 8601 with a zone; itself included, not later than now")
      .addOption(overlap()),
    async (handle, flags) => void io.out.write(`${pretty(await handle.backfill(flags))}\n`),
  );
  on<{ history?: boolean }>(
    schedule
      .command("delete <id>")
      .description("nothing is started any more; runs that are on go on")
      .option("--history", "also delete what is stored of it, so that its id is free"),
    async (handle, flags) => {
      await handle.delete(flags);
      return `schedule ${handle.id} is over`;
    },
  );
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

interface Waiting {
  timeout?: Duration;
}

function waiting({ timeout }: Waiting): Waiting {
  return timeout === undefined ? {} : { timeout };
}

function overlap(): Option {
  return new Option("--overlap <how>", "if a run is on").choices(OVERLAPS);
}

interface CreateFlags {
  cron?: string[];
  every?: Duration;
  offset?: Duration;
  timezone?: string;
  startAt?: string;
  endAt?: string;
  jitter?: Duration;
  overlap?: Overlap;
  catchUp?: Duration;
  limit?: string;
  paused?: boolean;
  note?: string;
  input?: string;
  idPrefix?: string;
  timeout?: Duration;
  change?: boolean;
}

function addCreate(schedule: Command, io: Io): void {
  schedule
    .command("create <id> <workflow>")
    .description("make a schedule of runs of <workflow> (name, or name@version)")
    .option("--cron <pattern...>", "five fields, six with seconds first, or @hourly, @daily …")
    .option("--every <duration>", "all multiples of it, e.g. 15m")
    .option("--offset <duration>", "moves the multiples of --every")
    .option("--timezone <name>", "of --cron, e.g. Europe/Berlin (default: UTC)")
    .option("--start-at <time>", "no time before it (ISO 8601 with a zone)")
    .option("--end-at <time>", "no time after it")
    .option("--jitter <duration>", "each run starts later by a random time up to this")
    .addOption(overlap())
    .option("--catch-up <duration>", "how late a run may start after downtime (default: 10m)")
    .option("--limit <n>", "ends after so many runs")
    .option("--paused", "nothing starts by itself until it is resumed")
    .option("--note <text>", "for people")
    .option("-i, --input <json>", "the input of its runs: JSON, @file, or -")
    .option("--id-prefix <prefix>", "what the ids of its runs begin with (default: its own id)")
    .option("--timeout <duration>", "a run fails if it has not ended in this time")
    .option("--change", "if there is a schedule with this id, make it what is said here")
    .addHelpText("after", examplesOf(EXAMPLES, "schedule create"))
    .action((id: string, name: string, flags: CreateFlags, command: Command) =>
      withBus(command, io, (bus) => create(bus, io, id, name, flags)),
    );
}

async function create(bus: Bus, io: Io, id: string, called: string, flags: CreateFlags): Promise<void> {
  const { input: said, limit, cron, change, ...rest } = flags;
  const input = await readJson("--input", said, io);
  const times = {
    ...rest,
    ...(cron && { cron: cron.length === 1 ? cron[0]! : cron }),
    ...(limit !== undefined && { limit: whole("--limit", limit) }),
  } as ScheduleTimes;
  const { name, version } = await workflowOf(bus.log, called);
  await bus.client.schedules
    .create(id, { ...times, workflow: nameless(name, version), input, onConflict: change ? "change" : "reject" })
    .catch((error) => refuse(id, bus.namespace, error));
  io.err.write(`schedule ${id} starts runs of ${name}@${version}\n`);
}

function whole(option: string, said: string): number {
  if (/^[1-9]\d{0,8}$/.test(said)) return Number(said);
  throw new CliError(`${option} is a whole number from 1, not "${said}".`, EXIT.usage);
}

function addLs(schedule: Command, io: Io): void {
  schedule
    .command("ls")
    .description("schedules that are not over, newest first")
    .option("--json", "as JSON, a line each")
    .addHelpText("after", examplesOf(EXAMPLES, "schedule ls"))
    .action((flags: { json?: boolean }, command: Command) =>
      withBus(command, io, async ({ client }) => {
        const all = await client.schedules.list({ limit: 1_000 });
        if (flags.json) {
          for (const one of all) io.out.write(`${JSON.stringify(one)}\n`);
          return;
        }
        const paint = painter(io, io.out);
        const rows = all.map((one) => [
          one.id,
          paint(stateStyle(one.status), one.status),
          ago(io.now() - one.createdAt),
        ]);
        io.out.write(`${table([{ title: "SCHEDULE" }, { title: "STATUS" }, { title: "MADE" }], rows)}\n`);
      }),
    );
}
