import { type ChildError, fromFailure } from "@stepstream/contracts";
import { type ChildOptions, step, type WorkflowContext, workflow } from "@stepstream/sdk";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { Play } from "./play.ts";

const any = { input: z.any(), output: z.any() };
const a = step("a", any);
const undo = step("undo", any);
const sub = workflow("sub", { input: z.object({ n: z.int() }), output: z.object({ m: z.int() }) }, async () => ({
  m: 1,
}));
const flow = (run: (input: any, w: WorkflowContext) => Promise<unknown>) => workflow("flow", any, run);
const last = (play: Play) => play.events.at(-1) as any;
const parent = (options?: ChildOptions) => flow((_n, w) => w.child(sub, { n: 1 }, options));

describe("a child", () => {
  it("is asked for with an id made of its parent's, and gives its result", async () => {
    const play = new Play(parent());
    await play.start();
    await play.childEnded(1, "r1-1", { m: 7 });
    expect(play.spelled).toBe("<r1-1>1 completed");
    expect(last(play).output).toEqual({ m: 7 });
    expect(await play.replayed()).toBeUndefined();
  });

  it.each([
    ["same", undefined],
    ["linked", "linked"],
  ] as const)("may be in a trace of its own: %s", async (trace, recorded) => {
    const play = new Play(parent({ trace }));
    await play.start();
    const [scheduled] = play.events as any[];
    expect(scheduled.trace).toBe(recorded);
    await play.childEnded(1, "r1-1", { m: 7 });
    // Changed while the run is live.
    for (const other of [undefined, "same", "linked"] as const)
      expect(await play.replayed(parent({ trace: other }))).toBeUndefined();
    expect(await play.replayed(parent({ id: "other" }))).toBeDefined();
  });

  it("has an id of 64 characters at most, however long its parent's is", async () => {
    const play = new Play(parent(), [], "x".repeat(64));
    await play.start();
    const [scheduled] = play.events as any[];
    expect(scheduled.run).toMatch(/^x{41}-[A-Za-z0-9_-]{22}$/);
  });

  it("that fails is a ChildError with its cause", async () => {
    const play = new Play(parent({ id: "kid" }));
    await play.start();
    await play.childFailed(1, "kid");
    const error = fromFailure(last(play).error) as ChildError;
    expect(error).toMatchObject({ code: "CHILD_FAILED", run: "r1", child: "kid", workflow: "sub" });
    expect((error.cause as Error).message).toBe("boom");
  });

  it("whose result does not fit is a ChildError too", async () => {
    const play = new Play(parent({ id: "kid" }));
    await play.start();
    await play.childEnded(1, "kid", { m: "seven" });
    expect(last(play).error).toMatchObject({ code: "CHILD_FAILED", cause: { code: "INVALID_OUTPUT" } });
  });

  it("is not ended by what another run says of itself", async () => {
    const play = new Play(parent({ id: "kid" }));
    await play.start();
    await play.childEnded(1, "other", { m: 7 });
    expect(play.spelled).toBe("<kid>1");
  });

  it("is asked to stop when its parent is cancelled, and waited for", async () => {
    const play = new Play(
      flow(async (_n, w) => {
        w.compensate(undo, 0);
        await w.child(sub, { n: 1 }, { id: "kid" });
      }),
    );
    await play.start();
    await play.cancel();
    expect(play.spelled).toBe("<kid>1 cancel !1");
    await play.childFailed(1, "kid", "cancelled");
    await play.done(2, undo);
    expect(play.spelled).toBe("<kid>1 cancel !1 closing:cancelled ~undo2 cancelled");
    expect(await play.replayed()).toBeUndefined();
  });

  it("that is cancelled on its own fails its parent, which is not cancelled", async () => {
    const play = new Play(parent({ id: "kid" }));
    await play.start();
    await play.childFailed(1, "kid", "cancelled");
    expect(play.spelled).toBe("<kid>1 failed");
  });

  it("that is to be abandoned is left alone", async () => {
    const play = new Play(
      flow(async (_n, w) => {
        void w.child(sub, { n: 1 }, { id: "kid", onParentClose: "abandon" }).catch(() => {});
        return w.run(a, 0);
      }),
    );
    await play.start();
    await play.done(2, a, "end");
    expect(play.spelled).toBe("<kid>1 a2 !1 completed");
  });

  it("of a terminated parent is stopped as its policy says", async () => {
    const play = new Play(
      flow((_n, w) =>
        Promise.all(
          (["cancel", "terminate", "abandon"] as const).map((onParentClose) =>
            w.child(sub, { n: 1 }, { id: onParentClose, onParentClose }),
          ),
        ),
      ),
    );
    await play.start();
    await play.terminate();
    expect(play.spelled).toBe("<cancel>1 <terminate>2 <abandon>3 terminated cancel:cancel terminate:terminate");
  });

  it.each([
    ["an input that does not fit", { n: 1.5 }, undefined, "INVALID_INPUT"],
    ["an id that is none", { n: 1 }, { id: "a.b" }, "ERROR"],
  ])("with %s fails at once, and nothing is asked for", async (_what, input, options, code) => {
    const play = new Play(flow((_n, w) => w.child(sub, input, options)));
    await play.start();
    expect(play.spelled).toBe("failed");
    expect(last(play).error.cause.code).toBe(code);
  });
});
