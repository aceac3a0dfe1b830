/** A workflow that waits in all ways there are; test/cli/replay.test.ts finds the places by the words at their ends. */
import { nothing, workflow } from "@stepstream/sdk";
import { z } from "zod";
import { inAnotherFile, work } from "./helper.ts";

export const below = workflow("below", { input: z.number(), output: z.number() }, (n, w) => w.run(work, n));

export const places = workflow(
  "places",
  { input: z.number(), output: z.number(), signals: { go: nothing } },
  async (n, w) => {
    const first = await w.run(work, n); // the first
    const [a, b] = await Promise.all([
      w.run(work, first + 1), // one of two
      w.run(work, first + 3), // two of two
    ]);
    await w.sleep("1ms"); // the timer
    await w.waitFor("go"); // the signal
    const c = await w.child(below, a); // the child
    const ds = await w.map([b, c], (one) => w.run(work, one)); // the map
    await w.until(() => ds.length > 0);
    return inAnotherFile(w, ds); // the caller
  },
);
