/**
 * Versions: workflow code changes while runs are under way. Would they go on with the new code? `replayRun` tells a test,
 * and the check program whoever deploys. A small change is patched in; a large one is a version of its own, on the same
 * coordinators or on others: each run gets to one that knows its version.
 */

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Coordinator, type CoordinatorEvent, createCoordinator, replayRun } from "@stepstream/coordinator";
import { type AnyWorkflow, type RunHandle, workflow } from "@stepstream/sdk";
import { createWorker } from "@stepstream/step-worker";
import type { Stage } from "../practices/stage.ts";
import { definition, pack, parcel, ship, weigh } from "./versions.deployed.ts";
import { patched, second } from "./versions.next.ts";

export const about = "new code for old runs: checked beforehand, patched in, or a version of its own side by side";

/** What somebody thought of first. Runs that have packed would be asked to weigh. */
const careless = workflow("parcel", definition, async (input, w) => {
  const grams = await w.run(weigh, input);
  const packed = await w.run(pack, input);
  await w.waitFor("paid");
  return w.run(ship, { packed, grams });
});

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

export async function play({ bus, client, say }: Stage) {
  const handedOn: string[] = [];
  const onEvent = (event: CoordinatorEvent) => {
    if (event.type === "handedOn") handedOn.push(event.run);
  };
  const deploy = (...workflows: AnyWorkflow[]) => createCoordinator({ ...bus, workflows, onEvent }).start();
  const worker = await createWorker({ ...bus, logger: { info() {}, warn: say, error: say } })
    .handle(weigh, () => 700)
    .handle(pack, ({ what }) => `a box with ${what}`)
    .handle(ship, ({ packed, grams }) => (grams === undefined ? packed : `${packed}, ${grams} g`))
    .start();
  const up: Coordinator[] = [await deploy(parcel)];
  try {
    const early = await client.start(parcel, { what: "books" }, { id: "early" });
    await packedBy(early);

    // Before a deploy: in a test, with a history that was kept; or against all that is under way, as a program.
    const recorded = await record(early);
    const why = await replayRun(careless, recorded);
    const fits = await replayRun(patched, recorded);
    say(
      `careless  ${why?.message
        .split("\n")
        .slice(0, 3)
        .map((line) => line.trim().slice(0, 96))
        .join("\n            ")}`,
    );
    const check = await checked(bus, path("versions.next.ts"));
    say(`patched   ${fits ?? "decides the same"}; the program: ${check}`);

    // The deploy: version 1 here, version 2 there, in one namespace.
    await up.pop()!.stop();
    up.push(await deploy(patched), await deploy(second));
    const late = await client.start(patched, { what: "tea" }, { id: "late" });
    const new_ = await Promise.all(
      ["cups", "pots", "pans", "lids"].map((what) => client.start(second, { what }, { id: what })),
    );
    const all = [early, late, ...new_];
    await Promise.all(all.map((run) => run.signal("paid")));
    const results = await Promise.all(all.map((run) => run.result()));
    const versions = await Promise.all(all.map(async (run) => (await run.status()).version));
    for (const [i, result] of results.slice(0, 3).entries())
      say(`version ${versions[i]} ${all[i]!.id.padEnd(6)} ${result}`);
    say(
      `handed on ${handedOn.length > 0 ? "some" : "none"} of ${all.length}, to the coordinator that knows their version`,
    );
    return { why, fits, check, results, versions, handedOn };
  } finally {
    await Promise.all(up.map((coordinator) => coordinator.stop()));
    await worker.stop({ drainMs: 0 });
  }
}

/** A run as `replayRun` takes it; a file in a repository holds the same, as JSON. */
async function record(run: RunHandle<string, any, any, any>) {
  const history = await run.history();
  return {
    run: run.id,
    inbox: history.flatMap((entry) => (entry.kind === "inbox" ? [entry] : [])),
    decisions: history.flatMap((entry) => (entry.kind === "journal" ? [entry.message] : [])),
  };
}

/** `stepstream replay --all`, as it is run before a deploy. It fails (exit code 1) if a run would not go on. */
async function checked({ nats, namespace }: Stage["bus"], module: string): Promise<string> {
  const program = path("../../packages/cli/bin/stepstream.cjs");
  const args = [program, "replay", "--all", "--nats", nats, "--namespace", namespace, "--workflows", module];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return stdout.trim();
}

async function packedBy(run: RunHandle<string, any, any, any>): Promise<void> {
  for (;;) {
    if ((await run.history()).some(({ kind, message }: any) => kind === "inbox" && message.type === "StepCompleted"))
      return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
