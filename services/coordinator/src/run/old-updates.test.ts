import { readFileSync } from "node:fs";
import { step, type WorkflowContext, workflow } from "@stepstream/sdk";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { Play } from "./play.ts";

const any = { input: z.any(), output: z.any() };
const a = step("a", any);
const signals = { note: z.string() };
const updates = { add: { input: z.int(), output: z.int() } };
type W = WorkflowContext<typeof signals, Record<never, never>, typeof updates>;

/** How the run ends. One that is cancelled or times out waits meanwhile. */
const ends: Record<string, (w: W) => Promise<unknown>> = {
  "continues as new": (w) => w.continueAsNew(2),
  returns: async () => 1,
  throws: () => Promise.reject(new Error("no")),
};
/** What the update is waiting for. */
const works: Record<string, (w: W) => Promise<unknown>> = {
  "a step": (w) => w.run(a, 0),
  "a signal": (w) => w.waitFor("note"),
  "a condition": (w) => w.until(() => false),
  nothing: () => new Promise(() => {}),
};

interface Recorded extends Pick<Play, "inbox" | "events"> {
  /** Versions of two ages: the older one answered only some updates at the end of a run. */
  recordedBy: string;
  how: string;
  work: string;
}
const histories: Recorded[] = JSON.parse(readFileSync(new URL("../../test/old-updates.json", import.meta.url), "utf8"));

function flowOf({ how, work }: Recorded) {
  const end = ends[how] ?? (async () => 1);
  return workflow("flow", { ...any, signals, updates }, async (n, w) => {
    if (n === 2) return "end";
    w.onUpdate("add", async (m) => {
      await works[work]!(w);
      return m;
    });
    await w.waitFor("note");
    return end(w);
  });
}

/** Folds what came in on the code of today, with the history up to some event. */
async function replay(recorded: Recorded, events = recorded.events): Promise<Play> {
  const play = new Play(flowOf(recorded), events, "r1", recorded.inbox.at(-1)!.seq);
  for (const x of recorded.inbox) await play.deliver(x);
  return play;
}

describe("a history of before updates in progress were refused at every end", () => {
  it.each(histories)("replays ($recordedBy): it $how, the update waits for $work", async (recorded) => {
    const play = await replay(recorded);
    play.run.checkReplayed([]);
    expect(play.run.fault).toBeUndefined();
  });

  it("has updates that failed as cancelled, and updates that got no answer", () => {
    const answers = histories.map(({ events }) =>
      events.flatMap((event) => ("id" in event && event.id === "u" ? event.type : [])).at(-1),
    );
    expect(new Set(answers)).toEqual(new Set(["UpdateAccepted", "UpdateFailed"]));
  });

  it("is still compared: a failure of the update's own is not taken for the run's end", async () => {
    const recorded = histories.find(({ events }) => events.some(({ type }) => type === "UpdateFailed"))!;
    const events = recorded.events.map((event) =>
      event.type === "UpdateFailed"
        ? { ...event, error: { ...event.error, code: "ERROR", message: "bad luck" } }
        : event,
    );
    const play = await replay(recorded, events);
    expect(play.run.fault?.code).toBe("NON_DETERMINISM");
  });
});
