import type { Duration } from "@stepstream/contracts";
import type { Command } from "commander";
import { withBus } from "../connection.ts";
import { EXIT, Exit } from "../errors.ts";
import type { Io } from "../io.ts";

interface Flags {
  reason?: string;
  grace?: Duration;
  cleanupDeadline?: Duration;
  wait?: boolean;
  timeout?: Duration;
}

const EXAMPLES = `
Examples:
  $ stepstream cancel order-1 --reason "customer changed their mind"
  $ stepstream cancel order-1 --cleanup-deadline 5m --wait

Attempts are told to stop, then compensations run. To end a run without any of it: stepstream terminate.`;

export function addCancel(program: Command, io: Io): void {
  program
    .command("cancel <run>")
    .description("ask a run to stop and clean up")
    .option("--reason <text>", "for people; it stands in the history")
    .option("--grace <duration>", "how long attempts have to stop (default: 10s)")
    .option("--cleanup-deadline <duration>", "how long all clean-up may take; then it is terminated")
    .option("--timeout <duration>", "how long to wait for the answer; the message stands (default: 30s)")
    .option("-w, --wait", "wait until it is over; exit code 1 if it did not end cancelled")
    .addHelpText("after", EXAMPLES)
    .action((run: string, flags: Flags, command: Command) =>
      withBus(command, io, async ({ client }) => {
        const { wait, ...options } = flags;
        const handle = client.get(run);
        await handle.cancel({ ...options, signal: io.signal });
        io.err.write(`run ${run} is asked to stop\n`);
        if (!wait) return;
        await handle.result({ signal: io.signal }).catch(() => {});
        io.signal.throwIfAborted();
        const { status } = await handle.status();
        io.err.write(`run ${run} is ${status}\n`);
        if (status !== "cancelled") throw new Exit(EXIT.no);
      }),
    );
}
