/**
 * Bounded parallelism, in two places: `w.map` asks for at most so many items of one run at a time; a step's
 * `concurrency` bounds what one worker process does at a time, whatever runs ask for it, while the queue holds the rest.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { step, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "./stage.ts";

export const about = "1,000 items, at most 10 at a time; a queue holds the rest";

const Photos = z.object({ photos: z.int() });
const Count = z.object({ done: z.int() });

const shrink = step("shrink", { input: z.object({ photo: z.int() }), output: z.int() });
const scan = step("scan", { input: z.object({ photo: z.int() }), output: z.int(), concurrency: 4 });

const album = workflow("album", { input: Photos, output: Count }, async ({ photos }, w) => {
  const items = Array.from({ length: photos }, (_, photo) => ({ photo }));
  const done = await w.map(items, (item) => w.run(shrink, item), { concurrency: 10 });
  return { done: done.length };
});

/** Asks for all at once. The queue does not mind; the worker takes 4 at a time. */
const archive = workflow("photo-archive", { input: Photos, output: Count }, async ({ photos }, w) => {
  const all = await w.all(Array.from({ length: photos }, (_, photo) => w.run(scan, { photo })));
  return { done: all.length };
});

/** How many are under way, and the most there ever were. */
class Gauge {
  now = 0;
  most = 0;
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.most = Math.max(this.most, ++this.now);
    return work().finally(() => this.now--);
  }
}

export async function play({ serve, client, say }: Stage) {
  const shrinking = new Gauge();
  const scanning = new Gauge();
  await serve([album, archive], (worker) =>
    worker
      .handle(shrink, ({ photo }) => shrinking.during(() => sleep(2, photo)))
      .handle(scan, ({ photo }) => scanning.during(() => sleep(2, photo))),
  );
  const mapped = await (await client.start(album, { photos: 1_000 })).result();
  say(`w.map        ${mapped.done} items, at most ${shrinking.most} at a time`);
  const queued = await (await client.start(archive, { photos: 100 })).result();
  say(`concurrency  ${queued.done} items asked for at once, at most ${scanning.most} at a time`);
  return { mapped: mapped.done, atATime: shrinking.most, queued: queued.done, inTheWorker: scanning.most };
}
