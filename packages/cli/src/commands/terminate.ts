import type { Duration } from "@stepstream/contracts";
import type { Command } from "commander";
import { withBus } from "../connection.ts";
import type { Io } from "../io.ts";
import { did } from "../print/did.ts";

const EXAMPLES = `
Examples:
  $ stepstream terminate order-1 --reason "stuck since the migration"

Nothing is cleaned up and no compensation runs. Prefer: stepstream cancel.`;

export function define(command: Command, io: Io): void {
  command
    .option("--reason <text>", "for people; it stands in the history")
    .option("--timeout <duration>", "how long to wait for the answer; the message stands (default: 30s)")
    .option("--json", "print what was done as JSON")
    .addHelpText("after", EXAMPLES)
    .action((run: string, flags: { reason?: string; timeout?: Duration; json?: boolean }) =>
      withBus(command, io, async (bus) => {
        const { json: _, ...options } = flags;
        const client = await bus.client();
        await client.get(run).terminate({ ...options, signal: io.signal });
        did(io, `run ${run} is terminated`, { run, done: "terminate" });
      }),
    );
}
