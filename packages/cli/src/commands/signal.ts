import type { Duration } from "@stepstream/contracts";
import type { Command } from "commander";
import { withBus } from "../connection.ts";
import type { Io } from "../io.ts";
import { readJson } from "../json.ts";

const EXAMPLES = `
Examples:
  $ stepstream signal order-1 approve '{"by":"eva"}'
  $ stepstream signal order-1 approve @approval.json --id approval-7    the same id again changes nothing`;

interface Flags {
  id?: string;
  timeout?: Duration;
}

export function addSignal(program: Command, io: Io): void {
  program
    .command("signal <run> <name> [payload]")
    .description("tell a run something (payload: JSON, @file, or -)")
    .option("--id <id>", "the signal's identity (default: a random one)")
    .option("--timeout <duration>", "how long to wait for the answer; the message stands (default: 30s)")
    .addHelpText("after", EXAMPLES)
    .action((run: string, name: string, said: string | undefined, flags: Flags, command: Command) =>
      withBus(command, io, async ({ client }) => {
        const payload = await readJson("The payload", said, io);
        await client.get(run).signal(name, payload, { ...flags, signal: io.signal });
        io.err.write(`run ${run} has taken note of "${name}"\n`);
      }),
    );
}
