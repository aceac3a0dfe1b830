import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { type BusFlags, namespaceOf } from "../connection.ts";
import { dev } from "../dev/dev.ts";
import { CliError, EXIT } from "../errors.ts";
import type { Io } from "../io.ts";

interface Flags extends BusFlags {
  /** A folder; false for --no-data. */
  data: string | false;
  port?: number;
  workers: number;
  gates?: boolean;
  traces?: boolean;
}

const EXAMPLES = `
Examples:
  $ stepstream dev src/workflows.ts src/handlers.ts
  $ stepstream dev src/app.ts --workers 3 --no-data
  $ stepstream dev src/app.ts --nats nats://127.0.0.1:4222 -n mine    on a server that runs already
  $ stepstream dev src/app.ts --traces                                with Jaeger, if it is installed

A module exports workflows under any name, or \`handlers\` (an array of { step, handler }, or a function of the worker), or
both. What you save restarts the processes that are made of it; work in hand goes to the new ones. Runs are kept in the
folder --data and go on when dev is started again.`;

export function addDev(program: Command, io: Io): void {
  program
    .command("dev <module...>")
    .description("everything on this machine: nats-server, coordinator, workers; restarted on change")
    .option("--data <folder>", "where runs are kept", ".stepstream")
    .option("--no-data", "keep nothing: begin with nothing, leave nothing")
    .addOption(
      new Option("--port <n>", "of nats-server (default: 4222, or a free one if that is taken)").argParser((said) =>
        whole("--port", said, 65_535),
      ),
    )
    .addOption(
      new Option("--workers <n>", "how many worker processes")
        .argParser((said) => whole("--workers", said, 64))
        .default(1),
    )
    .option("--gates", "run the commands of gates also if --nats names a server that others can reach")
    .option("--traces", "start Jaeger and send traces there")
    .addHelpText("after", EXAMPLES)
    .action((modules: string[], _flags: Flags, command: Command) =>
      start(modules, command.optsWithGlobals<Flags>(), io),
    );
}

async function start(modules: string[], flags: Flags, io: Io): Promise<void> {
  const nats = flags.nats ?? (io.env.NATS_URL || undefined);
  for (const option of ["context", "creds", "nkey", "tlsCert", "tlsCa"] as const)
    if (flags[option] !== undefined)
      throw new CliError(
        "dev takes a server by its URL alone (--nats, NATS_URL), with user and password in it if need be.",
        EXIT.usage,
      );
  if (nats !== undefined && flags.port !== undefined)
    throw new CliError("--port is of the server that dev starts, and --nats names one that runs.", EXIT.usage);
  await dev(
    {
      modules: await Promise.all(modules.map((module) => existing(resolve(io.cwd, module)))),
      namespace: namespaceOf(flags, io),
      nats,
      port: flags.port,
      data: flags.data === false ? undefined : resolve(io.cwd, flags.data),
      workers: flags.workers,
      gates: flags.gates,
      traces: flags.traces ?? false,
    },
    io,
  );
}

async function existing(path: string): Promise<string> {
  if (
    await stat(path)
      .then((found) => found.isFile())
      .catch(() => false)
  )
    return path;
  throw new CliError(`There is no file ${path}.`, EXIT.usage);
}

function whole(option: string, said: string, max: number): number {
  const number = Number(said);
  if (/^\d+$/.test(said) && number >= 1 && number <= max) return number;
  throw new CliError(`${option} is a whole number from 1 to ${max}, not "${said}".`, EXIT.usage);
}
