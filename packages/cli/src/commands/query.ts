import type { Duration } from "@stepstream/contracts";
import type { Command } from "commander";
import { withBus } from "../connection.ts";
import type { Io } from "../io.ts";
import { pretty, readJson } from "../json.ts";

const EXAMPLES = `
Examples:
  $ stepstream query order-1 status
  $ stepstream query order-1 lines '{"from":10}' --timeout 30s

Answered by a coordinator from what the run is now, also after its end; nothing is changed.`;

export function addQuery(program: Command, io: Io): void {
  program
    .command("query <run> <name> [input]")
    .description("ask a run something (input: JSON, @file, or -)")
    .option("--timeout <duration>", "how long to wait for an answer (default: 5s)")
    .addHelpText("after", EXAMPLES)
    .action((run: string, name: string, said: string | undefined, flags: { timeout?: Duration }, command: Command) =>
      withBus(command, io, async ({ client }) => {
        const input = await readJson("The input", said, io);
        const answer = await client.get(run).query(name, input as never, flags);
        if (answer !== undefined) io.out.write(`${pretty(answer)}\n`);
      }),
    );
}
