import { type Command, Option } from "commander";
import type { BusFlags } from "../connection.ts";
import type { Io } from "../io.ts";
import { whole } from "../whole.ts";

export interface Flags extends BusFlags {
  /** A folder; false for --no-data. */
  data?: string | false;
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

export function define(command: Command, io: Io): void {
  command
    .option("--data <folder>", "where runs are kept (default: .stepstream in the project's folder)")
    .option("--no-data", "keep nothing: begin with nothing, leave nothing")
    .addOption(
      new Option(
        "--port <n>",
        "of nats-server (default: the one of the last time, else 4222, else a free one)",
      ).argParser((said) => whole("--port", said, 65_535)),
    )
    .addOption(
      new Option("--workers <n>", "how many worker processes")
        .argParser((said) => whole("--workers", said, 64))
        .default(1),
    )
    .option("--gates", "run the commands of gates also if --nats names a server that others can reach")
    .option("--traces", "start Jaeger and send traces there")
    .option("--json", "its log as JSON, a line each")
    .addHelpText("after", EXAMPLES)
    .action(async (modules: string[]) =>
      (await import("../actions/dev.ts")).startDev(modules, command.optsWithGlobals<Flags>(), io),
    );
}
