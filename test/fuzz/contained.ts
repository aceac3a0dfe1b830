import type { RunHandle } from "@stepstream/sdk";
import { expectReplay } from "@stepstream/testing";
import { expect } from "vitest";
import { frames } from "../../services/coordinator/src/run/frame.ts";
import { Bed } from "./bed.ts";
import { values } from "./hostile.ts";
import { small, type Whole, workflowOf } from "./program.ts";

/** What came to the process and is no run's. */
const escaped: unknown[] = [];
export const onEscaped = (error: unknown) => {
  // Listeners hear of all rejections; those of workflow code are the coordinator's business.
  if (!frames.getStore()) escaped.push(error);
};

/** Plays one program beside others. @throws {AssertionError} It was not contained. */
export async function contained(whole: Whole): Promise<void> {
  let unbounded = false;
  let bad: ReturnType<typeof workflowOf>;
  try {
    bad = workflowOf(whole, () => {
      unbounded = true;
    });
  } catch (error) {
    // A schema that cannot work is refused where it is written.
    expect(error).toBeInstanceOf(RangeError);
    return;
  }
  const bed = new Bed(1, bad);
  try {
    await bed.start();
    const bystanders = await bed.bystanders();
    const run = await bed.soon(
      bed.client.start(bad, values[whole.given]!() as never, { id: "bad" }).catch((error) => error),
      "the start",
    );
    if (!(run instanceof Error)) {
      await bed.pass(700);
      bed.kill("c1");
      await bed.pass(300);
      await bed.boot("c1");
      const tells = [
        run.signal("go", 1, { id: "g1" } as never),
        run.update("change", 1 as never, { signal: AbortSignal.abort() } as never),
        run.query("state", undefined as never, { timeout: "2s" } as never),
      ].map((told) => Promise.resolve(told).catch(() => {}));
      await Promise.race([bed.soon(Promise.all(tells.slice(2))), bed.pass(5_000)]);
      await bed.pass(3_000);
      run.cancel({ reason: "the fuzz test" }).catch(() => {});
      bed.kill("c2");
      await bed.pass(200);
      await bed.boot("c2");
      await bed.pass(20_000);
    }
    await bystanders();
    expect(unbounded, "a loop was not stopped").toBe(false);
    if (!(run instanceof Error)) await over(bed, run, bad);
    // Whatever was said of the run: others still work.
    const again = await bed.soon(bed.client.start(small, 6, { id: "after" }));
    expect(await bed.soon(again.result(), "a run that comes after")).toBe(7);
    await bed.clock.settled();
    expect(escaped, "nothing escapes").toEqual([]);
  } finally {
    escaped.length = 0;
    bed.close();
  }
}

/** Ends it, looks at what it has decided, and deletes it. */
async function over(bed: Bed, run: RunHandle<any>, bad: ReturnType<typeof workflowOf>): Promise<void> {
  const parked = bed.parkedFor("bad");
  const { status } = await bed.soon(run.status(), "status()");
  if (status === "running" || parked) {
    if (parked) {
      const code = /"code":"(\w+)"/.exec(parked)?.[1];
      expect(["STALLED"], parked.slice(0, 500)).toContain(code);
    }
    await bed.soon(run.terminate({ reason: "the fuzz test" }), "terminate()");
  } else {
    const history = await bed.soon(run.history(), "history()");
    await expectReplay(bad, { run: "bad", history });
  }
  await bed.soon(
    run.result().catch(() => {}),
    "result()",
  );
  await bed.soon(run.delete(), "delete()");
  await expect(bed.soon(run.status(), "status() of what is gone")).rejects.toMatchObject({ code: "RUN_NOT_FOUND" });
}
