/** Modules whose code does not return when they are loaded: every program that loads one says so, and ends. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const COORDINATOR = path("../../services/coordinator/src/main.ts");
const WORKER = path("../../services/step-worker/src/main.ts");
const STEPSTREAM = path("../../packages/cli/bin/stepstream.cjs");
const [ENDLESS, OVERFLOWS, HANDLERS] = ["endless", "overflows", "handlers"].map((name) => path(`loading/${name}.ts`));

/** Runs a program until it ends, or has said `until`. @returns What it said, and its exit code. */
async function run(args: readonly string[], until?: RegExp): Promise<{ said: string; code: number | null }> {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text) => {
      said += text;
      if (until?.test(said)) child.kill("SIGTERM");
    });
  const limit = setTimeout(() => child.kill("SIGKILL"), 80_000);
  const [code] = (await once(child, "close")) as [number | null];
  clearTimeout(limit);
  return { said, code };
}

/** What is said of it, with the line. */
function blocked(what: RegExp, line: RegExp): RegExp {
  const place = `\\S+${line.source}`;
  return new RegExp(`${what.source} cannot be loaded: its code has blocked the event loop for \\d+ s, at ${place}`);
}

it("says which line of a module does not return, and ends, where a coordinator, a worker or a replay loads it", {
  timeout: 120_000,
}, async () => {
  const endless = blocked(/loading\/endless\.ts/, /loading\/endless\.ts:[45]:\d+/);
  const cases: [string[], RegExp, number][] = [
    [[COORDINATOR, OVERFLOWS!], blocked(/loading\/overflows\.ts/, /loading\/overflows\.ts:\d+:\d+ \(again\)/), 1],
    [[WORKER, HANDLERS!], blocked(/handlers of \S+loading\/handlers\.ts/, /loading\/handlers\.ts:3:\d+/), 1],
    [[STEPSTREAM, "replay", "--file", "none.json", "-m", ENDLESS!], endless, 2],
  ];
  await Promise.all(
    cases.map(async ([args, expected, code]) => {
      const ran = await run(args);
      expect(ran.said).toMatch(expected);
      expect(ran.code).toBe(code);
    }),
  );
});

it("says which line of a module does not return, and waits for a change, in stepstream dev", {
  timeout: 120_000,
}, async () => {
  const data = await mkdtemp(join(tmpdir(), "stepstream-loading-"));
  try {
    const args = [STEPSTREAM, "dev", ENDLESS!, "--data", data, "--namespace", "loading"];
    const { said } = await run(args, /coordinator +│ waits for a change/);
    expect(said).toMatch(blocked(/loading\/endless\.ts/, /loading\/endless\.ts:[45]:\d+/));
    expect(said).toMatch(/coordinator +│ waits for a change/);
  } finally {
    await rm(data, { recursive: true, force: true });
  }
});
