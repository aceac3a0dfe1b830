import type { Duration } from "@stepstream/contracts";
import type { Command } from "commander";
import { withBus } from "../connection.ts";
import type { Io } from "../io.ts";

const EXAMPLES = `
Examples:
  $ stepstream delete order-1

Its id is free then: nothing tells that it ever was, and a start with it is another run.`;

export function addDelete(program: Command, io: Io): void {
  program
    .command("delete <run>")
    .description("delete the history of a run that is over")
    .option("--timeout <duration>", "how long to wait until it is deleted (default: 30s)")
    .addHelpText("after", EXAMPLES)
    .action((run: string, flags: { timeout?: Duration }, command: Command) =>
      withBus(command, io, async ({ client }) => {
        await client.get(run).delete(flags);
        io.err.write(`run ${run} is deleted\n`);
      }),
    );
}
