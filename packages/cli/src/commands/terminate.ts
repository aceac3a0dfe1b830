import type { Duration } from "@stepstream/contracts";
import type { Command } from "commander";
import { withBus } from "../connection.ts";
import type { Io } from "../io.ts";

const EXAMPLES = `
Examples:
  $ stepstream terminate order-1 --reason "stuck since the migration"

Nothing is cleaned up and no compensation runs. Prefer: stepstream cancel.`;

export function addTerminate(program: Command, io: Io): void {
  program
    .command("terminate <run>")
    .description("end a run at once, without clean-up; also one that is parked")
    .option("--reason <text>", "for people; it stands in the history")
    .option("--timeout <duration>", "how long to wait for the answer; the message stands (default: 30s)")
    .addHelpText("after", EXAMPLES)
    .action((run: string, flags: { reason?: string; timeout?: Duration }, command: Command) =>
      withBus(command, io, async ({ client }) => {
        await client.get(run).terminate({ ...flags, signal: io.signal });
        io.err.write(`run ${run} is terminated\n`);
      }),
    );
}
