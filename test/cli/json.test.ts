/** `--json`, everywhere: answers that programs can read, one form of times, one form of errors. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { wholeProgram } from "@stepstream/cli";
import type { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { breaking, holding, type Scene, setScene, sum } from "./scene.ts";

let scene: Scene;
let folder: string;
let env: Record<string, string>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "stepstream-json-"));
  env = { XDG_CACHE_HOME: folder };
  scene = await setScene();
  await scene.client.start(holding, {}, { id: "held" });
  await scene.client.start(holding, {}, { id: "held-too" });
  await (await scene.client.start(sum, [1, 2], { id: "done" })).result();
  await (await scene.client.start(sum, [13], { id: "failed" })).result().catch(() => {});
  const { schedules } = scene.client;
  await schedules.create("often", { every: "1h", workflow: breaking, input: {} });
});
afterAll(async () => {
  await scene?.stop();
  await rm(folder, { recursive: true, force: true });
});

const run = (args: string) => scene.run(args, { env });
/** All values of an answer, or of a line of it, with where they stand. */
function* leaves(value: unknown, path: string[] = []): Generator<[path: string, value: unknown]> {
  if (typeof value !== "object" || value === null) return yield [path.join("."), value];
  for (const [key, field] of Object.entries(value)) yield* leaves(field, [...path, key]);
}
const parsed = (text: string): unknown[] => {
  try {
    return [JSON.parse(text)];
  } catch {
    return text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  }
};

describe("an answer in JSON", () => {
  it.each([
    ["ls --json", 0],
    ["ls --count --json", 0],
    ["show held --json", 0],
    ["show failed --json", 0],
    ["history failed --json", 0],
    ["watch failed --json", 1],
    ["result done --json", 0],
    ["result failed --json", 1],
    ["queue --json", 0],
    ["schedule ls --json", 0],
    ["schedule show often --json", 0],
    ["doctor --json", undefined],
  ])("of %s has its times as ISO 8601 and its errors in one form (J1, J3)", async (args, code) => {
    const ran = await run(args);
    if (code !== undefined) expect(ran.code, ran.err).toBe(code);
    const answers = parsed(ran.out);
    expect(answers.length).toBeGreaterThan(0);
    for (const answer of answers)
      for (const [path, value] of leaves(answer)) {
        // Any number that could be a time of ours is one.
        if (typeof value === "number") expect(value, `${args}: ${path}`).toBeLessThan(1e12);
        if (/(^|\.)error$/.test(path)) expect(value, `${args}: ${path}`).toBeTypeOf("object");
        if (/(^|\.)error\.(code|message)$/.test(path)) expect(value, `${args}: ${path}`).toMatch(/./);
      }
    expect(JSON.stringify(answers)).not.toMatch(/"error":"/);
  });

  it.each([
    ["start sum -i [1] --id started --json", { run: "started", workflow: "sum" }],
    ["cancel held --json", { run: "held", done: "cancel" }],
    ["terminate held-too --json", { run: "held-too", done: "terminate" }],
    ["delete done --json", { run: "done", done: "delete" }],
    ["schedule pause often --json", { schedule: "often", done: "pause" }],
    ["schedule resume often --json", { schedule: "often", done: "resume" }],
    ["schedule delete often --json", { schedule: "often", done: "delete" }],
  ])("of %s says what was done, and nothing else is printed", async (args, answer) => {
    const ran = await run(args);
    expect({ ...ran, out: JSON.parse(ran.out) }).toEqual({ code: 0, err: "", out: expect.objectContaining(answer) });
  });
});

describe("an error in JSON", () => {
  it.each([
    ["show nobody --json", 3, "RUN_NOT_FOUND"],
    ["result nobody --json", 3, "RUN_NOT_FOUND"],
    ["result failed --json --timeout 5x", 2, "USAGE"],
    ["ls --json --limit 0", 2, "USAGE"],
    ["ls --json --what", 2, "USAGE"],
    ["nothing --json", 2, "USAGE"],
    ["start sum -i { --json", 2, "USAGE"],
    ["dead show 7 --json", 3, "NOT_FOUND"],
    ["schedule show nobody --json", 3, "NOT_FOUND"],
    ["start sum -i [1] --id failed --json", 5, "WRONG_STATE"],
    ["ls --json -n nowhere", 3, "NAMESPACE_NOT_FOUND"],
    ["ls --json --nats nats://127.0.0.1:1", 4, "BUS_UNAVAILABLE"],
    ["ls --json --context nothing", 2, "USAGE"],
  ])("of %s is one line on standard error, with a code and a message (J3)", async (args, code, name) => {
    const ran = await run(args);
    expect({ code: ran.code, out: ran.out }).toEqual({ code, out: "" });
    expect(ran.err.trim().split("\n")).toHaveLength(1);
    expect(JSON.parse(ran.err)).toEqual({
      error: expect.objectContaining({ code: name, message: expect.stringMatching(/./) }),
      exitCode: code,
      ...(ran.err.includes('"next"') && { next: expect.any(String) }),
    });
  });

  it("has its cause, in the same form", async () => {
    await writeFile(join(folder, "broken.ts"), "export const x = ;\n");
    const ran = await scene.run(["replay", "failed", "-m", join(folder, "broken.ts"), "--json"], { env });
    expect(JSON.parse(ran.err).error).toMatchObject({ code: "USAGE", cause: { code: "INTERNAL" } });
  });
});

it("every command takes --json, but those that print a script or help", async () => {
  const io = { out: { write() {} }, err: { write() {} }, env: {} } as never;
  const without = (command: Command): string[] =>
    command.commands.length > 0
      ? command.commands.flatMap(without)
      : command.options.some(({ long }) => long === "--json")
        ? []
        : [command.name()];
  expect(without(await wholeProgram(io)).sort()).toEqual(["__complete", "completion", "help"]);
});
