import type { Duration } from "@stepstream/contracts";
import type { Command } from "commander";
import { withBus } from "../connection.ts";
import type { Io } from "../io.ts";
import { did } from "../print/did.ts";

const EXAMPLES = `
Examples:
  $ stepstream signal order-1 approve '{"by":"eva"}'
  $ stepstream signal order-1 approve @approval.json --id approval-7    the same id again changes nothing`;

interface Flags {
  id?: string;
  timeout?: Duration;
  json?: boolean;
}

export function define(command: Command, io: Io): void {
  command
    .option("--id <id>", "the signal's identity (default: a random one)")
    .option("--timeout <duration>", "how long to wait for the answer; the message stands (default: 30s)")
    .option("--json", "print what was done as JSON")
    .addHelpText("after", EXAMPLES)
    .action((run: string, name: string, said: string | undefined, flags: Flags) =>
      withBus(command, io, async (bus) => {
        const { json: _, ...options } = flags;
        const client = await bus.client();
        const { readJson } = await import("../json.ts");
        const payload = await readJson("The payload", said, io);
        await client.get(run).signal(name, payload, { ...options, signal: io.signal });
        did(io, `run ${run} has taken note of "${name}"`, { run, done: "signal", signal: name });
      }),
    );
}
