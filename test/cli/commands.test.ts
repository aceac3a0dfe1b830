/** What the commands that act on runs print, and what they end with: scripts rely on both. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { approval, holding, type Ran, type Scene, type Surroundings, setScene, sum } from "./scene.ts";

let scene: Scene;
let folder: string;
beforeAll(async () => {
  scene = await setScene();
  folder = await mkdtemp(join(tmpdir(), "stepstream-commands-"));
});
afterAll(async () => {
  await scene?.stop();
  await rm(folder, { recursive: true });
});

/** A word with spaces in it is written 'so'. */
const run = (args: string, surroundings?: Surroundings): Promise<Ran> =>
  scene.run(
    [...args.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word!),
    surroundings,
  );

/** It says no, with this exit code, on `err` alone. */
async function refused(args: string, code: number, said: string | RegExp, surroundings?: Surroundings): Promise<void> {
  const ran = await run(args, surroundings);
  expect(ran, args).toEqual({ code, out: "", err: expect.stringMatching(said) });
  expect(ran.err, "a stack trace that nobody asked for").not.toMatch(/^ +at /m);
}

describe("start", () => {
  it("prints the id, or with --wait the output, and takes its input from wherever it is", async () => {
    expect(await run("start sum --id start-1 --input [1,2]")).toEqual({ code: 0, out: "start-1\n", err: "" });
    expect(await run("start sum@1 --wait -i -", { stdin: "[4,5]" })).toEqual({ code: 0, out: "9\n", err: "" });
    await writeFile(join(folder, "numbers.json"), "[6,7]");
    expect((await run("start sum --wait -i @numbers.json", { cwd: folder })).out).toBe("13\n");
    const { out } = await run("start holding");
    await scene.client.get(out.trim()).terminate();
  });

  it("prints one JSON object with --json: what was started, or how it ended", async () => {
    const started = await run("start sum --id start-2 -i [1] --json");
    expect(JSON.parse(started.out)).toEqual({
      run: "start-2",
      workflow: "sum",
      version: 1,
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    const ended = await run("start sum --id start-3 -i [1,2] --json --wait");
    expect(JSON.parse(ended.out)).toMatchObject({ run: "start-3", status: "completed", output: 3 });
    const failed = await run("start sum --id start-4 -i [13] --json --wait");
    expect(failed).toMatchObject({ code: 1, err: "" });
    expect(JSON.parse(failed.out)).toMatchObject({
      status: "failed",
      error: { code: "STEP_FAILED", cause: { message: "13 brings no luck" } },
    });
  });

  it("ends with 1 if the run fails, with 5 if there is one already", async () => {
    await refused("start sum -i [13] --id start-5 --wait", 1, /^run start-5 failed after .*13 brings no luck\n$/);
    await refused("start sum -i 13 --wait", 1, "expected array, received number");
    await refused("start sum -i [1] --id start-5", 5, "Run start-5 exists already; nothing was started.");
    expect(await run("start sum -i [1] --id start-5 --on-conflict attach")).toMatchObject({
      code: 0,
      out: "start-5\n",
    });
    await refused("start nobody", 5, 'No coordinator that is up runs workflow "nobody"; they run approval@1,');
  });

  it.each([
    ["start", "missing required argument 'workflow'"],
    ["start sum --nope", "unknown option '--nope'"],
    ["start sum@x", '"sum@x" is no workflow'],
    ["start sum --id a.b", '"a.b"'],
    ["start sum --delay soon", '"soon". Use a number of milliseconds'],
    ["start sum --on-conflict whatever", "Allowed choices are reject, attach, terminate"],
    ["start sum -i numbers.json", "For a file write @numbers.json"],
    ["start sum -i @nowhere.json", "nowhere.json cannot be read"],
    ["start sum -i {", "is no JSON"],
    ["strat sum", "Did you mean start?"],
  ])("ends with 2 for wrong usage: %s", (args, said) => refused(args, 2, said));
});

describe("result", () => {
  it("prints the output; ends with 1 if there is none, with 5 if it is not over and nobody waits", async () => {
    await (await scene.client.start(sum, [1, 2], { id: "result-1" })).result();
    expect(await run("result result-1")).toEqual({ code: 0, out: "3\n", err: "" });
    expect(JSON.parse((await run("result result-1 --json --no-wait")).out)).toMatchObject({ output: 3 });
    const held = await scene.client.start(holding, {}, { id: "result-2" });
    await refused("result result-2 --no-wait", 5, "Run result-2 is not over: it is running.");
    await held.terminate({ reason: "enough" });
    await refused("result result-2", 1, /^run result-2 terminated after .*enough\n$/);
    await refused("result nobody", 3, `There is no run nobody in namespace "${scene.namespace}"`);
    await refused("result nobody -n nowhere", 3, 'There is no namespace "nowhere" on this server');
  });

  it("ends with 130 when it is interrupted, and the run goes on", async () => {
    const held = await scene.client.start(holding, {}, { id: "result-3" });
    const interrupt = new AbortController();
    const waiting = run("result result-3", { signal: interrupt.signal });
    interrupt.abort(new Error("interrupted"));
    expect((await waiting).code).toBe(130);
    expect((await held.status()).status).toBe("running");
    await held.terminate();
  });
});

describe("signal, query, update", () => {
  it("tell, ask and change a run, and end with 5 where it says no", async () => {
    await scene.client.start(approval, { what: "tea" }, { id: "talk-1" });
    expect(JSON.parse((await run("query talk-1 state")).out)).toEqual({ what: "tea" });
    expect(await run(`update talk-1 rename '"coffee"' --id u1`)).toEqual({ code: 0, out: '"coffee"\n', err: "" });
    expect(JSON.parse((await run("query talk-1 state --timeout 10s")).out)).toEqual({ what: "coffee" });
    await refused('update talk-1 rename "x"', 5, "Too small: expected string to have >=3 characters");
    await refused('update talk-1 nope "x"', 5, 'declares no update "nope"; it has rename');
    await refused("query talk-1 nope", 5, 'declares no query "nope"; it has state');
    await refused("query talk-1 state --timeout soon", 2, '"soon". Use a number of milliseconds');
    await refused("signal talk-1 approve {}", 5, 'The input of signal "approve" is not valid at by');
    await refused("signal talk-1 nope", 5, 'declares no signal "nope"; it has approve');
    await refused("signal talk-1 approve {by:eva}", 2, "The payload given is no JSON");
    const told = await run("signal talk-1 approve -", { stdin: '{"by":"eva"}' });
    expect(told).toEqual({ code: 0, out: "", err: 'run talk-1 has taken note of "approve"\n' });
    expect(JSON.parse((await run("result talk-1")).out)).toEqual({ by: "eva" });

    await refused('signal talk-1 approve {"by":"eva"}', 5, /Run talk-1 is over \(completed\)/);
    await refused('update talk-1 rename "tea"', 5, "Run talk-1 is over");
    expect(JSON.parse((await run("query talk-1 state")).out)).toEqual({ what: "coffee" });
    for (const command of ["signal nobody approve", "query nobody state", "update nobody rename"])
      await refused(command, 3, "There is no run nobody");
  });
});

describe("cancel, terminate, delete", () => {
  it("end a run, and end with 5 where it is over, or is not", async () => {
    await scene.client.start(holding, {}, { id: "end-1" });
    await refused("delete end-1", 5, "Run end-1 is not over; nothing was deleted");
    expect(await run("cancel end-1 --reason 'had enough' --wait")).toEqual({
      code: 0,
      out: "",
      err: "run end-1 is asked to stop\nrun end-1 is cancelled\n",
    });
    await refused("result end-1", 1, "had enough");
    await refused("cancel end-1", 5, "Run end-1 is over");
    await refused("terminate end-1", 5, "Run end-1 is over");

    await scene.client.start(holding, {}, { id: "end-2" });
    expect((await run("terminate end-2 --reason stuck")).err).toBe("run end-2 is terminated\n");
    expect((await run("delete end-2")).err).toBe("run end-2 is deleted\n");
    for (const command of ["delete end-2", "result end-2", "cancel end-2", "terminate end-2"])
      await refused(command, 3, "There is no run end-2");
    await refused("cancel end-1 --grace soon", 2, '"soon". Use a number of milliseconds');
  });
});

describe("schedule", () => {
  it("is made, shown, paused, triggered, filled up, changed and ended", async () => {
    const made = await run("schedule create nightly sum --every 1h --input [1,2] --note hello");
    expect(made).toEqual({ code: 0, out: "", err: "schedule nightly starts runs of sum@1\n" });
    await refused(
      "schedule create nightly sum --every 1h",
      5,
      "a schedule nightly already; nothing was changed. --change",
    );
    expect((await run("schedule create nightly sum --every 2h -i [3] --change")).code).toBe(0);
    expect((await run("schedule ls")).out).toMatch(
      /^SCHEDULE +STATUS +WORKFLOW +WHEN +NEXT +MADE\nnightly +active +sum@1 +every 2h +\d{4}-\d\d-\d\d \d\d:00:00 UTC +(just now|\d+ s ago)\n$/,
    );
    expect((await run("schedule show nightly")).out).toMatch(/^nightly {2}active {2}hello\nstarts +sum@1, every 2h,/);

    expect((await run("schedule pause nightly --note 'until monday'")).err).toBe("schedule nightly is paused\n");
    expect((await run("schedule ls")).out).toMatch(/nightly +paused +sum@1/);
    expect(JSON.parse((await run("schedule ls --json")).out)).toMatchObject({
      id: "nightly",
      workflow: "sum",
      version: 1,
      times: { every: "2h" },
      paused: true,
      next: expect.any(Array),
    });
    const show = async () => JSON.parse((await run("schedule show nightly --json")).out);
    expect(await show()).toMatchObject({ paused: true, note: "until monday", action: { input: [3] } });
    const triggered = JSON.parse((await run("schedule trigger nightly")).out);
    expect(await run(`result ${triggered.run}`)).toMatchObject({ code: 0, out: "3\n" });
    expect((await run("schedule resume nightly")).err).toBe("schedule nightly goes on\n");
    const filled = await run("schedule backfill nightly --from 2026-01-01T00:00:00Z --to 2026-01-01T03:00:00Z");
    expect(JSON.parse(filled.out)).toMatchObject({ started: 1, waiting: 1 });
    await expect.poll(show).toMatchObject({ counts: { started: 3, completed: 3 } });

    expect((await run("schedule delete nightly")).err).toBe("schedule nightly is over\n");
    expect((await run("schedule show nightly")).out).toMatch(/^nightly {2}over/);
    await refused("schedule pause nightly", 5, "Schedule nightly is over; nothing was changed.");
    expect((await run("schedule delete nightly --history")).code).toBe(0);
    await refused("schedule show nightly", 3, "There is no schedule nightly");
    await refused("schedule delete nightly", 3, "There is no schedule nightly");
  });

  it.each([
    ["schedule create odd sum", "says no time"],
    ["schedule create odd sum --every soon", "is not valid at every"],
    ["schedule create odd sum --cron '61 * * * *'", "Invalid value for minute: 61"],
    ["schedule create odd sum --every 1h --limit many", "--limit is a whole number from 1"],
    ["schedule backfill odd --from 2026-01-01T00:00:00Z", "required option '--to <time>' not specified"],
    ["schedule backfill odd --from yesterday --to today", '"yesterday" is no time'],
    ["schedule nope", "unknown command 'nope'"],
  ])("ends with 2 for wrong usage: %s", (args, said) => refused(args, 2, said));
});
