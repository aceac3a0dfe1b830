/**
 * Cancelling, of a whole run and of a part of it: who is asked to stop, for how long they may clean up, what a cancel does
 * not reach, and what becomes of those who do not listen. (How a reason reaches a handler, and what was done is undone, is
 * examples/practices/cancellation.ts.)
 */

import { once } from "node:events";
import { type HistoryEntry, type RunHandle, step, TimeoutError, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "../practices/stage.ts";

export const about = "grace, clean-up that goes on, its deadline; scopes with a time-out; late results; terminate";

const Scene = z.object({ scene: z.string() });
const Frames = z.object({ scene: z.string(), frames: z.int() });
const render = step("render", { input: Scene, output: Frames });
const sweep = step("sweep", { input: Scene, output: z.void() });

/** Whatever comes, the studio is swept before it ends. */
const film = workflow("film", { input: Scene, output: Frames }, async (input, w) => {
  try {
    return await w.run(render, input);
  } finally {
    await w.uncancellable(() => w.run(sweep, input)); // without it, a cancelled run is given nothing more
  }
});

/** Part of it may be given up while the rest goes on. */
const trailer = workflow(
  "trailer",
  { input: z.object({}), output: z.object({ titles: z.string(), first: z.string(), spare: z.string() }) },
  async (_, w) => {
    // In time, or not at all: what it has open is cancelled, and what it asks for later refused.
    const titles = await w
      .scope(() => w.run(render, { scene: "endless titles" }), { timeout: "100ms" })
      .then(
        ({ scene }) => scene,
        (error: unknown) => (error instanceof TimeoutError ? `none (${error.kind})` : Promise.reject(error)),
      );
    // Whoever loses is cancelled, with all it has open.
    const { scene: first } = await w.race([
      w.run(render, { scene: "endless chase" }),
      w.run(render, { scene: "kiss" }),
    ]);
    // Or by the workflow's own decision.
    const scope = w.scope(() => w.run(render, { scene: "endless outtakes" }));
    scope.cancel("nobody laughs");
    const spare = await scope.then(
      () => "kept",
      (error: Error) => error.message,
    );
    return { titles, first, spare };
  },
);

export async function play({ serve, client, until, say }: Stage) {
  const log: string[] = [];
  const night = new AbortController();
  await serve([film, trailer], (worker) =>
    worker
      .handle(render, async ({ scene }, { signal }) => {
        // The deaf do not listen until night falls.
        const stop = scene.startsWith("deaf") ? night.signal : signal;
        if (scene !== "kiss" && !stop.aborted) await once(stop, "abort");
        if (stop === signal && signal.aborted) {
          log.push(`stopped ${scene}`);
          throw signal.reason;
        }
        return { scene, frames: 24 };
      })
      .handle(sweep, async ({ scene }, { signal }) => {
        if (scene.endsWith("mess")) await once(signal, "abort");
        log.push(signal.aborted ? `swept up no more after ${scene}` : `swept up after ${scene}`);
      }),
  );
  const shooting = async (scene: string, id: string) => {
    const run = await client.start(film, { scene }, { id });
    await until((event) => event.type === "attempt" && event.step === "render" && event.run === id);
    return run;
  };
  const ending = async (run: RunHandle) => {
    const error = await run.result().catch((thrown: unknown) => thrown);
    return { error: error as Error, status: (await run.status()).status };
  };

  const parts = await (await client.start(trailer, {}, { id: "trailer" })).result();
  say(`parts     titles: ${parts.titles}; first: ${parts.first}; spare: ${parts.spare}`);
  const given = log.splice(0);

  const polite = await shooting("storm", "polite");
  await polite.cancel({ reason: "rain" }); // resolves when the run has taken note
  const cleaned = await ending(polite); // and this, when all is swept
  say(`cancelled ${log.join(", ")}; ${cleaned.error.message}`);
  const cleanUp = log.splice(0);

  // Whoever does not listen has its grace; then the run goes on without it, and what it says later changes nothing.
  const deaf = await shooting("deaf storm", "deaf");
  await deaf.cancel({ reason: "rain", grace: "200ms" });
  const abandoned = await ending(deaf);
  night.abort();
  const late = await lateResult(deaf);
  say(
    `deaf      ${abandoned.status} after its grace; a late result is on record, and the run ${(await deaf.status()).status}`,
  );

  const messy = await shooting("mess", "messy");
  await messy.cancel({ reason: "rain", cleanupDeadline: "300ms" });
  const overdue = await ending(messy);
  say(`deadline  ${overdue.status}: ${overdue.error.message}`);

  const doomed = await shooting("doomed", "doomed");
  const before = log.length;
  await doomed.terminate({ reason: "the studio burns" }); // resolves when it is over
  const terminated = { ...(await ending(doomed)), swept: log.slice(before).filter((line) => line.startsWith("swept")) };
  say(`ended     ${terminated.status}, nothing swept: ${terminated.error.message}`);
  return { parts, given, cleaned, cleanUp, abandoned, late, overdue, terminated };
}

/** The result that came after the run had ended: stored, and without an answer in the journal. */
async function lateResult(run: RunHandle): Promise<{ result: HistoryEntry; decided: number }> {
  for (;;) {
    const history = await run.history();
    const result = history.find(
      (entry) => entry.kind === "inbox" && entry.message.type === "StepCompleted" && entry.message.slot === 1,
    );
    if (result)
      return { result, decided: history.filter(({ kind, seq }) => kind === "journal" && seq > result.seq).length };
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
