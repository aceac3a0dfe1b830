/**
 * Sequential validation gates: commands, lowest level first, each with its time-out. Manual gates and gates without a
 * command are skipped; the first that does not pass ends it, and what it has printed is kept.
 */

import { type GateSpec, runGates, ValidationError, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "./stage.ts";

export const about = "commands by level, skipped where manual, a time-out each, stop at the first failure, output kept";

const node = (script: string) => `"${process.execPath}" -e "${script}"`;

const GOOD: GateSpec[] = [
  { name: "tests", level: 3, command: node("console.log('3 tests passed')"), timeout: "30s" },
  { name: "sign-off", level: 4, manual: true },
  { name: "types", level: 1, command: node("console.log('no errors')"), timeout: "30s" },
  { name: "lint", level: 2 },
];
const BROKEN: GateSpec[] = [
  { name: "tests", level: 3, command: node("console.log('never run')"), timeout: "30s" },
  {
    name: "lint",
    level: 2,
    command: node("console.log('1 problem'); console.error('a.ts:3 unused'); process.exit(2)"),
    timeout: "30s",
  },
  { name: "types", level: 1, command: node("console.log('no errors')"), timeout: "30s" },
];
const HANGING: GateSpec[] = [
  { name: "e2e", level: 1, command: node("console.log('waiting'); setTimeout(() => {}, 60000)"), timeout: "1s" },
];
const SETS = { good: GOOD, broken: BROKEN, hanging: HANGING };

const Result = z.object({ gate: z.string(), status: z.enum(["passed", "skipped"]) });

const release = workflow(
  "release",
  { input: z.object({ gates: z.enum(["good", "broken", "hanging"]) }), output: z.array(Result) },
  async ({ gates }, w) => {
    const results = await runGates(w, SETS[gates]);
    return results.map(({ gate, status }) => ({ gate, status }));
  },
);

export async function play({ serve, client, events, say }: Stage) {
  // `gates()` is what makes a worker run commands: only those that should, do.
  await serve([release], (worker) => worker.gates());
  const results = await (await client.start(release, { gates: "good" })).result();
  for (const { gate, status } of results) say(`${status.padEnd(8)} ${gate}`);

  const failureOf = async (gates: keyof typeof SETS) => {
    const run = await client.start(release, { gates });
    const error = await run.result().catch((thrown: unknown) => thrown);
    if (!(error instanceof ValidationError)) throw error;
    say(
      `failed   ${error.gate}: exit code ${error.exitCode}, stdout "${error.stdout.trim()}", stderr "${error.stderr.trim()}"`,
    );
    const commands = events.filter((event) => event.type === "attempt" && event.run === run.id).length;
    return { run: run.id, error, commands };
  };
  return { results, broken: await failureOf("broken"), hanging: await failureOf("hanging") };
}
