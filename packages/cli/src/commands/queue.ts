import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { withBus } from "../connection.ts";
import type { Io } from "../io.ts";
import { painter } from "../print/colour.ts";
import { live } from "../print/live.ts";
import { readQueues } from "../queue/read.ts";
import { shown } from "../queue/show.ts";
import { whileAway } from "../view/follow.ts";

const EXAMPLES = `
Examples:
  $ stepstream queue
  $ stepstream queue --watch
  $ stepstream queue --json | jq 'select(.waiting > 100)'

WAITING: no worker has taken them. BETWEEN ATTEMPTS: taken, failed, and waiting for their next attempt (or just handed
over). OLDEST: the age of the oldest command that is not done. PLACES: attempts that the workers can make at a time.`;

const EVERY_MS = 1_000;

export function addQueue(program: Command, io: Io): void {
  program
    .command("queue")
    .description("per step: what waits and runs, since when, circuit breakers, workers alive")
    .option("--watch", "again every second, until Ctrl-C")
    .option("--json", "as JSON, a line for each step")
    .addHelpText("after", EXAMPLES)
    .action((flags: { watch?: boolean; json?: boolean }, command: Command) =>
      withBus(command, io, async (bus) => {
        const paint = painter(io, io.out);
        const look = async () => {
          const queues = await readQueues(bus);
          if (flags.json) return queues.map((queue) => JSON.stringify(queue)).join("\n");
          return shown(queues, io.now(), paint);
        };
        if (!flags.watch) {
          const text = await look();
          if (text !== "") io.out.write(`${text}\n`);
          return;
        }
        const screen = live(io);
        try {
          while (!io.signal.aborted) {
            const text = await look().catch(whileAway);
            if (text !== undefined) screen.draw(text);
            await sleep(EVERY_MS, undefined, { signal: io.signal }).catch(() => {});
          }
        } finally {
          screen.done();
        }
      }),
    );
}
