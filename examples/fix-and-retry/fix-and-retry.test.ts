import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Client, connect, ValidationError } from "@stepstream/sdk";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { FIXERS } from "./fixers.ts";
import { copyProject, startWorkbench, type Workbench } from "./workbench.ts";
import { fixAndRetry, gatesOf } from "./workflow.ts";

describe("fix and retry", () => {
  let bench: Workbench;
  let client: Client;
  beforeEach(async () => {
    bench = await startWorkbench();
    client = await connect({ nats: bench.nats, namespace: bench.namespace });
    return async () => {
      await client.close();
      await bench.stop();
    };
  });

  it("repairs one problem after the other, each by the gate that named it, until all gates pass", async () => {
    const run = await client.start(fixAndRetry, { folder: bench.folder, attempts: 4 });
    expect(await run.result()).toEqual({
      gates: [
        { gate: "types", status: "passed" },
        { gate: "lint", status: "passed" },
        { gate: "unit tests", status: "passed" },
        { gate: "sign-off", status: "skipped" },
      ],
      fixes: [
        { gate: "types", file: "src/price.ts", what: "toFixd → toFixed, as the compiler suggests" },
        { gate: "lint", file: "src/price.ts", what: "rule style/useConst, by biome's own fix" },
        { gate: "unit tests", file: "src/price.ts", what: expect.stringContaining("Math.round") },
      ],
    });
    const source = await readFile(join(bench.folder, "src/price.ts"), "utf8");
    expect(source).toContain("const factor");

    // Each failed gate stopped the ones above its level: 1 + 2 + 3 + 3 commands were run, and no more.
    const history = await run.history();
    const scheduled = history.flatMap((h) => (h.kind === "journal" ? h.message.events : []));
    const gates = scheduled.filter((e) => e.type === "StepScheduled" && e.step === "gate");
    expect(gates).toHaveLength(9);
    // It waited between the checks, each time longer.
    const waits = scheduled.filter((e) => e.type === "TimerStarted");
    expect(waits).toHaveLength(3);
  });

  it("gives up after its last attempt, with what the gate has said", async () => {
    const run = await client.start(fixAndRetry, { folder: bench.folder, attempts: 2 });
    const failure = await run.result().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ValidationError);
    expect(failure).toMatchObject({
      gate: "lint",
      level: 2,
      command: expect.stringContaining("biome lint"),
      exitCode: 1,
      stderr: expect.stringContaining("lint/style/useConst"),
      detail: { run: run.id, step: "gate", attempt: 1 },
    });
    expect(await run.status()).toMatchObject({ status: "failed" });
  });
});

describe("the fixers", () => {
  let project: Awaited<ReturnType<typeof copyProject>>;
  beforeAll(async () => {
    project = await copyProject();
  });
  afterAll(() => project.remove());

  it("change nothing where the problem is gone, or is not known", async () => {
    const before = await readFile(join(project.folder, "src/price.ts"), "utf8");
    for (const fixer of Object.values(FIXERS))
      expect(await fixer(project.folder, "src/price.ts(1,1): error TS9999: something else")).toBeUndefined();
    expect(await readFile(join(project.folder, "src/price.ts"), "utf8")).toBe(before);
  });

  it("may be run twice on the same problem: an attempt may be run again", async () => {
    const output = "src/price.ts(9,27): error TS2551: Property 'toFixd' does not exist. Did you mean 'toFixed'?";
    await FIXERS.types!(project.folder, output);
    const once = await readFile(join(project.folder, "src/price.ts"), "utf8");
    await FIXERS.types!(project.folder, output);
    expect(await readFile(join(project.folder, "src/price.ts"), "utf8")).toBe(once);
    expect(once).toContain(".toFixed(2)");
  });

  it("know each gate that has a command", () => {
    const commands = gatesOf("x").filter((gate) => gate.command);
    expect(commands.map((gate) => gate.name).sort()).toEqual(Object.keys(FIXERS).sort());
  });
});

describe("the command", () => {
  const main = fileURLToPath(new URL("./main.ts", import.meta.url));
  const run = (...args: string[]) => promisify(execFile)(process.execPath, [main, ...args]);

  it("says what it fixed", async () => {
    const { stdout } = await run();
    expect(stdout).toMatch(/fixed\s+types[\s\S]*fixed\s+lint[\s\S]*fixed\s+unit tests[\s\S]*skipped\s+sign-off/);
  });

  it("says what is wrong, and fails, where it gives up", async () => {
    const failure = await run("--attempts", "2").catch((error) => error);
    expect(failure).toMatchObject({ code: 1, stdout: expect.stringContaining('Gate "lint" (level 2) did not pass') });
  });
});
