import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { Flags } from "../commands/queue.ts";
import { withBus } from "../connection.ts";
import type { Io } from "../io.ts";
import { painter } from "../print/colour.ts";
import { withTimes } from "../print/json.ts";
import { live } from "../print/live.ts";
import { readQueues } from "../queue/read.ts";
import { shown } from "../queue/show.ts";
import { whileAway } from "../view/follow.ts";

const EVERY_MS = 1_000;

export async function queue(command: Command, io: Io, flags: Flags): Promise<void> {
  await withBus(command, io, async (bus) => {
    const paint = painter(io, io.out);
    const look = async () => {
      const queues = await readQueues(bus);
      if (flags.json) return queues.map((queue) => JSON.stringify(withTimes(queue))).join("\n");
      // Ages by the server's clock, as all that it stored.
      return shown(queues, bus.log.serverNow(), paint);
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
        if (text) screen.draw(text);
        await sleep(EVERY_MS, undefined, { signal: io.signal }).catch(() => {});
      }
    } finally {
      screen.done();
    }
  });
}
