import type { Command } from "commander";
import { withBus } from "../connection.ts";
import { CliError, EXIT } from "../exit.ts";
import type { Io } from "../io.ts";
import { printLine } from "../print/json.ts";
import { readOne } from "./dead.ts";

/** Starts the runs of dead letters again: see `RunHandle.retry`. If one cannot be, those before it have been. */
export async function deadRetry(command: Command, io: Io, seqs: string[], flags: { json?: boolean }): Promise<void> {
  await withBus(command, io, async (bus) => {
    const letters = await Promise.all(seqs.map((seq) => readOne(bus, seq)));
    const client = await bus.client();
    for (const { seq, run, slot } of letters) {
      if (run === undefined || slot === undefined) {
        const what =
          run === undefined ? "a message that names no run" : `a message to run ${run}, and no step's command`;
        const todo = "Send it again, as it should be: stepstream dead show has its text.";
        throw new CliError(`Dead letter ${seq} is ${what}; nothing was started. ${todo}`, EXIT.state);
      }
      const { id } = await client.get(run).retry();
      if (flags.json) printLine(io, { seq, run: id, of: run });
      else io.out.write(`${id}\n`);
    }
  });
}
