import type { Duration } from "@stepstream/contracts";
import type { Command } from "commander";
import { withBus } from "../connection.ts";
import type { Io } from "../io.ts";
import { pretty, readJson } from "../json.ts";

const EXAMPLES = `
Examples:
  $ stepstream update order-1 addLine '{"sku":"a-1","count":2}'

Exit code 5 if the run turns it down.`;

interface Flags {
  id?: string;
  timeout?: Duration;
}

export function addUpdate(program: Command, io: Io): void {
  program
    .command("update <run> <name> [input]")
    .description("change a run and print its answer (input: JSON, @file, or -)")
    .option("--id <id>", "the update's identity (default: a random one)")
    .option("--timeout <duration>", "how long to wait for the answer; the message stands (default: 30s)")
    .addHelpText("after", EXAMPLES)
    .action((run: string, name: string, said: string | undefined, flags: Flags, command: Command) =>
      withBus(command, io, async ({ client }) => {
        const input = await readJson("The input", said, io);
        const answer = await client.get(run).update(name, input as never, { ...flags, signal: io.signal });
        if (answer !== undefined) io.out.write(`${pretty(answer)}\n`);
      }),
    );
}
