/**
 * Determinism: a workflow is replayed from its history, so it decides by nothing else. Time and chance come from the run,
 * native ones too; what can come from nowhere is refused, at once and in words; what it is given is frozen; and what is
 * asked of the machine on purpose is recorded. (What lint rules say of all that: docs/determinism.md.)
 */

import { hostname } from "node:os";
import { createCoordinator, replayRun } from "@stepstream/coordinator";
import { type RunHandle, WorkflowFailedError, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "../practices/stage.ts";
import { debounce } from "./determinism.library.ts";

export const about = "native time and chance answer from the history; what cannot is refused; what is given is frozen";

const Drawn = z.object({ at: z.int(), number: z.number(), id: z.string(), machine: z.string() });

const raffle = workflow(
  "raffle",
  { input: z.object({}), output: Drawn, signals: { go: z.void() }, queries: { drawn: Drawn } },
  async (_, w) => {
    const drawn = {
      at: Date.now(), // the time of the message that is being handled
      number: Math.random(), // drawn from the run's id
      id: crypto.randomUUID(),
      machine: w.sideEffect(() => `${hostname()}, up for ${process.hrtime.bigint()} ns`), // asked once, and recorded
    };
    w.onQuery("drawn", () => drawn);
    await w.waitFor("go");
    return drawn;
  },
);

const List = z.object({ names: z.array(z.string()) });
const waits = workflow("waits", { input: List, output: z.void() }, async () => debounce(10));
const sorts = workflow("sorts", { input: List, output: List }, async (input) => {
  input.names.sort(); // it is not its own: toSorted() makes one that is
  return input;
});

export async function play({ bus, client, say }: Stage) {
  const workflows = [raffle, waits, sorts];
  let coordinator = await createCoordinator({ ...bus, workflows }).start();
  try {
    const run = await client.start(raffle, {}, { id: "raffle" });
    const before = await run.query("drawn");
    await coordinator.stop();
    coordinator = await createCoordinator({ ...bus, workflows }).start();
    const after = await run.query("drawn"); // by another coordinator, from the history
    await run.signal("go");
    const result = await run.result();
    say(`drawn     ${before.number}; after a restart ${after.number}`);
    say(`recorded  ${after.machine}`);
    const fault = await replayRun(raffle, await record(run));
    say(`replayed  ${fault ?? "decides the same, byte for byte"}`);

    const refused = await causeOf(await client.start(waits, { names: [] }));
    say(`refused   ${refused.message}`);
    const frozen = await causeOf(await client.start(sorts, { names: ["zoe", "eva"] }));
    say(`frozen    ${frozen.name}: ${frozen.message}`);
    return { before, after, result, fault, refused, frozen };
  } finally {
    await coordinator.stop();
  }
}

async function causeOf(run: RunHandle): Promise<Error> {
  const error = await run.result().catch((thrown: unknown) => thrown);
  if (!(error instanceof WorkflowFailedError)) throw error;
  return error.cause as Error;
}

async function record(run: RunHandle<unknown, any, any, any>) {
  const history = await run.history();
  return {
    run: run.id,
    inbox: history.flatMap((entry) => (entry.kind === "inbox" ? [entry] : [])),
    decisions: history.flatMap((entry) => (entry.kind === "journal" ? [entry.message] : [])),
  };
}
