import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { connect } from "@stepstream/sdk";
import { expect, it } from "vitest";
import { startStage } from "./stage.ts";
import { tour } from "./tour.ts";

it("each time has its run, and what is said is so", async () => {
  const stage = await startStage();
  const client = await connect({ nats: stage.nats, namespace: stage.namespace });
  try {
    const lines: string[] = [];
    const { ticked, told, filled } = await tour(client, 3, (line) => lines.push(line));
    expect(ticked.counts).toMatchObject({ started: 3, completed: 3, skipped: 0, missed: 0 });
    for (const { at, startedAt } of ticked.recent) expect(startedAt).toBeGreaterThanOrEqual(at);
    expect(filled).toEqual({ started: 1, waiting: 2, skipped: 0 });
    expect(told).toMatchObject({ paused: true, note: "sales are on holiday" });
    expect(told.recent.map(({ cause }) => cause)).toEqual(["backfill", "backfill", "backfill", "trigger"]);
    expect(lines).toContain("backfill nightly-20260329T013000Z: all is well with the day");
    expect(lines.at(-1)).toMatch(/^nightly {2}paused .* next would be .* 02:30$/);
  } finally {
    await client.close();
    await stage.stop();
  }
});

it("the program says how it is used", async () => {
  const program = fileURLToPath(new URL("main.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [program, "--help"]);
  expect(stdout).toContain("--runs <n>");
});
