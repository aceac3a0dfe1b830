import type { Duration } from "@stepstream/contracts";
import type { Command } from "commander";
import { withBus } from "../connection.ts";
import { EXIT, Exit } from "../exit.ts";
import type { Io } from "../io.ts";
import { did } from "../print/did.ts";

interface Flags {
  reason?: string;
  grace?: Duration;
  cleanupDeadline?: Duration;
  wait?: boolean;
  json?: boolean;
  timeout?: Duration;
}

const EXAMPLES = `
Examples:
  $ stepstream cancel order-1 --reason "customer changed their mind"
  $ stepstream cancel order-1 --cleanup-deadline 5m --wait

Attempts are told to stop, then compensations run. To end a run without any of it: stepstream terminate.`;

export function define(command: Command, io: Io): void {
  command
    .option("--reason <text>", "for people; it stands in the history")
    .option("--grace <duration>", "how long attempts have to stop (default: 10s)")
    .option("--cleanup-deadline <duration>", "how long all clean-up may take; then it is terminated")
    .option("--timeout <duration>", "how long to wait for the answer; the message stands (default: 30s)")
    .option("-w, --wait", "wait until it is over; exit code 1 if it did not end cancelled")
    .option("--json", "print what was done as JSON")
    .addHelpText("after", EXAMPLES)
    .action((run: string, flags: Flags) =>
      withBus(command, io, async (bus) => {
        const client = await bus.client();
        const { wait, json: _, ...options } = flags;
        const handle = client.get(run);
        await handle.cancel({ ...options, signal: io.signal });
        if (!wait) return did(io, `run ${run} is asked to stop`, { run, done: "cancel" });
        if (!io.json) io.err.write(`run ${run} is asked to stop\n`);
        await handle.result({ signal: io.signal }).catch(() => {});
        io.signal.throwIfAborted();
        const { status } = await handle.status();
        did(io, `run ${run} is ${status}`, { run, done: "cancel", status });
        if (status !== "cancelled") throw new Exit(EXIT.no);
      }),
    );
}
