import type { Duration } from "@stepstream/contracts";
import type { Command } from "commander";
import { withBus } from "../connection.ts";
import type { Io } from "../io.ts";

const EXAMPLES = `
Examples:
  $ stepstream update order-1 addLine '{"sku":"a-1","count":2}'

Exit code 5 if the run turns it down.`;

interface Flags {
  id?: string;
  timeout?: Duration;
  json?: boolean;
}

export function define(command: Command, io: Io): void {
  command
    .option("--id <id>", "the update's identity (default: a random one)")
    .option("--timeout <duration>", "how long to wait for the answer; the message stands (default: 30s)")
    .option("--json", "print the answer as JSON on one line")
    .addHelpText("after", EXAMPLES)
    .action((run: string, name: string, said: string | undefined, flags: Flags) =>
      withBus(command, io, async (bus) => {
        const { json: _, ...options } = flags;
        const client = await bus.client();
        const { compact, pretty, readJson } = await import("../json.ts");
        const input = await readJson("The input", said, io);
        const answer = await client.get(run).update(name, input as never, { ...options, signal: io.signal });
        if (answer !== undefined) io.out.write(`${(io.json ? compact : pretty)(answer)}\n`);
      }),
    );
}
