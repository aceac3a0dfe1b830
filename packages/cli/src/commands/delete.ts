import type { Duration } from "@stepstream/contracts";
import type { Command } from "commander";
import { withBus } from "../connection.ts";
import type { Io } from "../io.ts";
import { did } from "../print/did.ts";

const EXAMPLES = `
Examples:
  $ stepstream delete order-1

Its id is free then: nothing tells that it ever was, and a start with it is another run.`;

export function define(command: Command, io: Io): void {
  command
    .option("--timeout <duration>", "how long to wait until it is deleted (default: 30s)")
    .option("--json", "print what was done as JSON")
    .addHelpText("after", EXAMPLES)
    .action((run: string, flags: { timeout?: Duration; json?: boolean }) =>
      withBus(command, io, async (bus) => {
        const { json: _, ...options } = flags;
        const client = await bus.client();
        await client.get(run).delete(options);
        did(io, `run ${run} is deleted`, { run, done: "delete" });
      }),
    );
}
