/** `show`, `history`, `watch`, on a real server. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expectReplay } from "@stepstream/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { approval, holding, parent, type Scene, setScene, sum } from "./scene.ts";

let scene: Scene;
beforeAll(async () => {
  scene = await setScene();
});
afterAll(() => scene?.stop());

const json = (text: string) =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));

describe("show", () => {
  it("says how a run ended, and why", async () => {
    const run = await scene.client.start(sum, [1, 13], { id: "show-failed" });
    await run.result().catch(() => {});
    const { code, out } = await scene.run("show show-failed");
    expect(code).toBe(0);
    expect(out).toMatch(/^show-failed {2}sum@1 {2}failed\nstarted {3}20/);
    expect(out).toContain('STEP_FAILED Step "add" of run show-failed (slot 2) failed for good in attempt 3');
    expect(out).toContain("  because 13 brings no luck");
    expect(out).toContain("input     [1,13]");
    expect((await scene.run("show nobody")).code).toBe(3);
  });

  it("says what a run waits for: a handler, a retry, a child, a signal, a worker that is not there", async () => {
    const held = await scene.client.start(parent, {}, { id: "show-parent" });
    const shown = async (id: string) => JSON.parse((await scene.run(`show ${id} --json`)).out).waits;
    await expect.poll(() => shown("show-parent")).toHaveLength(1);
    await expect.poll(async () => (await shown("show-parent"))[0].why).toContain("it is running");
    expect((await shown("show-parent"))[0]).toMatchObject({ slot: 1, what: "child show-parent-held (holding@1)" });
    expect((await shown("show-parent-held"))[0].why).toMatch(/^queued, or in its first attempt, for/);
    scene.release();
    await held.result();
    expect((await scene.run("show show-parent")).out).toContain('output    "released"');

    await scene.client.start(approval, { what: "tea" }, { id: "show-approval" });
    await expect.poll(async () => (await scene.run("show show-approval")).out).toContain("a timer: fires in 59 min");
    await scene.client.get("show-approval").terminate({ reason: "no more tea" });
    expect((await scene.run("show show-approval")).out).toContain("because   no more tea");
  });

  it("says why a run is parked, and what it waits for then", async () => {
    await scene.run("start sum@9 --id show-parked -i []");
    await expect.poll(async () => (await scene.run("show show-parked")).out).toContain("parked for");
    const { out } = await scene.run("show show-parked");
    expect(out).toContain("UNKNOWN_WORKFLOW");
    expect(out).toContain("within half a minute of a coordinator being up that can handle it");
    await scene.client.get("show-parked").terminate();
  });

  it("says that no worker does the step", async () => {
    const alone = await setScene();
    await alone.worker.stop();
    await alone.client.start(sum, [1], { id: "lonely" });
    await expect
      .poll(async () => (await alone.run("show lonely")).out)
      .toContain("NO WORKER that is up does this step");
    await alone.stop();
  });
});

describe("history", () => {
  it("is a table, or JSON, of all or of one slot", async () => {
    const run = await scene.client.start(sum, [1, 7], { id: "history-1" });
    await run.result();
    const { out } = await scene.run("history history-1");
    const what = out
      .split("\n")
      .slice(1, -1)
      .filter((line) => !/^ +at /.test(line)) // where in the handler it failed
      .map((line) => line.trim().split(/ {2,}/));
    const column = what.map((cells) => (/^\d+$/.test(cells[3]!) ? cells[4] : cells[3]));
    expect(column).toEqual([
      "RunStarted",
      "StepScheduled",
      "StepCompleted",
      "ProgressReported",
      "StepScheduled",
      "AttemptFailed",
      "StepCompleted",
      "ProgressReported",
      "RunCompleted",
    ]);
    const slot = json((await scene.run("history history-1 --slot 2 --json")).out);
    expect(slot.map(({ kind }) => kind)).toEqual(["journal", "attempt", "inbox"]);
    expect((await scene.run("history nobody")).code).toBe(3);
    expect((await scene.run("history history-1 --slot one")).code).toBe(2);
    expect((await scene.run("history history-1 --slot 1 --export -")).code).toBe(2);
  });

  it("is exported, and is a regression test then", async () => {
    const folder = await mkdtemp(join(tmpdir(), "stepstream-history-"));
    const file = join(folder, "run.json");
    await (await scene.client.start(sum, [1, 2], { id: "history-2" })).result();
    expect((await scene.run(`history history-2 --export ${file}`)).code).toBe(0);
    const exported = JSON.parse(await readFile(file, "utf8"));
    expect(exported).toMatchObject({ run: "history-2", namespace: scene.namespace, workflow: "sum@1" });
    await expectReplay(sum, exported);
    const { out } = await scene.run("history history-2 --export -");
    expect(JSON.parse(out).history).toEqual(exported.history);
    await rm(folder, { recursive: true });
  });

  it("is followed until the run is over", async () => {
    const run = await scene.client.start(holding, {}, { id: "history-3" });
    let freed = false;
    const { code, out } = await scene.run("history history-3 --follow", {
      onOut(text) {
        if (freed || !text.includes("StepScheduled")) return;
        freed = true;
        // The command has gone out; it may not have been taken yet.
        const free = setInterval(() => scene.release(), 20);
        void run.result().then(() => clearInterval(free));
      },
    });
    expect([code, out.trimEnd().split("\n").at(-1)]).toEqual([0, expect.stringContaining("RunCompleted")]);
  });

  it("is followed to its end when the run is deleted, and does not show what its id is used for next", async () => {
    const run = await scene.client.start(holding, {}, { id: "history-5" });
    let shown = "";
    let again: Promise<unknown> | undefined;
    const { code, out, err } = await scene.run("history history-5 --follow", {
      onOut(text) {
        shown += text;
        if (again || !shown.includes("StepScheduled")) return;
        again = (async () => {
          await run.terminate({ reason: "its id is needed" });
          await run.delete();
          await scene.client.start(sum, [4, 5], { id: "history-5" });
        })();
      },
    });
    await again;
    expect(await scene.client.get("history-5").result()).toBe(9);
    expect(out).not.toContain("sum");
    // It has seen the end, or was overtaken by the deletion.
    if (code === 0) expect(out).toContain("RunTerminated");
    else expect([code, err]).toEqual([3, expect.stringContaining("history-5")]);
  });

  it("stops following when it is interrupted", async () => {
    const run = await scene.client.start(holding, {}, { id: "history-4" });
    const interrupt = new AbortController();
    const onOut = (text: string) => text.includes("RunStarted") && interrupt.abort(new Error("interrupted"));
    const { code } = await scene.run("history history-4 -f", { signal: interrupt.signal, onOut });
    expect(code).toBe(130);
    await run.terminate();
  });
});

describe("watch", () => {
  it("tells in a pipe what comes, children's too, and the tree at the end; its exit code is the run's", async () => {
    const run = await scene.client.start(parent, {}, { id: "watch-1" });
    const free = setInterval(() => scene.release(), 50);
    const { code, out } = await scene.run("watch watch-1");
    clearInterval(free);
    await run.result();
    expect(code).toBe(0);
    expect(out).toMatch(/ watch-1-held {2}slot 1 {2}StepScheduled {2}hold/);
    expect(out).toContain("watch-1  parent@1  completed");
    expect(out).toMatch(/└─ ✓ 1 child watch-1-held \(holding@1\) .*\n {3}└─ ✓ 1 hold/);

    await scene.client.start(sum, [13], { id: "watch-2" });
    expect((await scene.run("watch watch-2")).code).toBe(1);
    expect((await scene.run("watch nobody")).code).toBe(3);
  });
});
