import type { Duration } from "@stepstream/contracts";
import type { Command } from "commander";
import { withBus } from "../connection.ts";
import type { Io } from "../io.ts";

const EXAMPLES = `
Examples:
  $ stepstream query order-1 status
  $ stepstream query order-1 lines '{"from":10}' --timeout 30s

Answered by a coordinator from what the run is now, also after its end; nothing is changed.`;

export function define(command: Command, io: Io): void {
  command
    .option("--timeout <duration>", "how long to wait for an answer (default: 5s)")
    .option("--json", "print the answer as JSON on one line")
    .addHelpText("after", EXAMPLES)
    .action((run: string, name: string, said: string | undefined, flags: { timeout?: Duration; json?: boolean }) =>
      withBus(command, io, async (bus) => {
        const { json: _, ...options } = flags;
        const client = await bus.client();
        const { compact, pretty, readJson } = await import("../json.ts");
        const input = await readJson("The input", said, io);
        const answer = await client.get(run).query(name, input as never, options);
        if (answer !== undefined) io.out.write(`${(io.json ? compact : pretty)(answer)}\n`);
      }),
    );
}
