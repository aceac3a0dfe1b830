import type { Duration } from "@stepstream/contracts";
import type { Overlap } from "@stepstream/sdk/schedule";
import { type Command, Option } from "commander";
import { examplesOf } from "../examples.ts";
import type { Io } from "../io.ts";

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

export function define(schedule: Command, io: Io): void {
  schedule.addHelpText("after", EXAMPLES);
  addCreate(schedule, io);
  addLs(schedule, io);

  /** A command on one schedule that is there. */
  function on(command: Command, act: keyof typeof import("../actions/schedule.ts").ON_ONE, wait = "30s") {
    command
      .option("--timeout <duration>", `how long to wait for the answer (default: ${wait})`)
      .option("--json", "as JSON")
      .addHelpText("after", examplesOf(EXAMPLES, `schedule ${command.name()}`))
      .action(async (id: string, flags: object) =>
        (await import("../actions/schedule.ts")).onOne(command, io, act, id, flags),
      );
  }

  on(schedule.command("show <id>").description("what it is, what it has started, what comes next"), "show", "5s");
  on(
    schedule.command("pause <id>").description("nothing starts by itself until resume").option("--note <text>"),
    "pause",
  );
  on(schedule.command("resume <id>").description("go on after a pause").option("--note <text>"), "resume");
  on(
    schedule
      .command("trigger <id>")
      .description("start a run now, also in a pause; prints what became of it")
      .addOption(overlap())
      .option("--id <id>", "the trigger's identity: the same again is the same trigger"),
    "trigger",
  );
  on(
    schedule
      .command("backfill <id>")
      .description("start the runs of times that have been, at most 1,000")
      .requiredOption("--from <time>", "ISO 8601 with a zone; itself included")
      .requiredOption("--to <time>", "ISO 8601 with a zone; itself included, not later than now")
      .addOption(overlap()),
    "backfill",
  );
  on(
    schedule
      .command("delete <id>")
      .description("nothing is started any more; runs that are on go on")
      .option("--history", "also delete what is stored of it, so that its id is free"),
    "delete",
  );
}

function overlap(): Option {
  return new Option("--overlap <how>", "if a run is on").choices(OVERLAPS);
}

export interface CreateFlags {
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
  json?: boolean;
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
    .option("--json", "print what was done as JSON")
    .option("--change", "if there is a schedule with this id, make it what is said here")
    .addHelpText("after", examplesOf(EXAMPLES, "schedule create"))
    .action(async (id: string, name: string, flags: CreateFlags, command: Command) =>
      (await import("../actions/schedule.ts")).create(command, io, id, name, flags),
    );
}

function addLs(schedule: Command, io: Io): void {
  schedule
    .command("ls")
    .description("schedules that are not over, newest first")
    .option("--json", "as JSON, a line each")
    .addHelpText("after", examplesOf(EXAMPLES, "schedule ls"))
    .action(async (flags: { json?: boolean }, command: Command) =>
      (await import("../actions/schedule.ts")).ls(command, io, flags),
    );
}
