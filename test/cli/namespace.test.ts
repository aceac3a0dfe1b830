/** `stepstream namespace`, on a real server. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { holding, type Scene, setScene } from "./scene.ts";

let scene: Scene;
beforeAll(async () => {
  scene = await setScene();
});
afterAll(() => scene?.stop());

let count = 0;
const some = () => `made-${process.pid}-${count++}`;

describe("namespace", () => {
  it("is made, shown, changed and deleted", async () => {
    const ns = some();
    const settings = "--partitions 4 --replicas 1 --retain 30d --retain */failed=90d";
    expect(await scene.run(`namespace create ${ns} ${settings}`)).toMatchObject({
      code: 0,
      err: `namespace ${ns} is made\n`,
    });
    expect(await scene.run(`namespace create ${ns} ${settings}`)).toMatchObject({
      code: 0,
      err: `namespace ${ns} is there, as asked for\n`,
    });
    expect(await scene.run(`namespace create ${ns} --partitions 5`)).toMatchObject({
      code: 5,
      err: expect.stringContaining("it has 4 partitions. Nothing was changed"),
    });

    const { out } = await scene.run(`namespace info ${ns}`);
    expect(out).toMatch(/^partitions +4$/m);
    expect(out).toMatch(/^retention +\*\/\*=30d +\*\/failed=90d$/m);
    expect(out).toMatch(new RegExp(`^${ns}_EVENTS +0 `, "m"));
    expect(JSON.parse((await scene.run(`namespace info ${ns} --json`)).out)).toMatchObject({
      namespace: ns,
      partitions: 4,
      createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
    });
    expect((await scene.run("namespace ls")).out.split("\n")).toEqual(expect.arrayContaining([ns, scene.namespace]));

    expect((await scene.run(`namespace update ${ns} --retain none`)).code).toBe(0);
    expect((await scene.run(`namespace info ${ns}`)).out).toMatch(/^retention +none/m);
    expect((await scene.run(`namespace update ${ns}`)).code).toBe(2);

    expect(await scene.run(`namespace delete ${ns}`)).toMatchObject({ code: 2, err: expect.stringContaining("--yes") });
    expect(await scene.run(`namespace delete ${ns} --yes --json`)).toMatchObject({
      code: 0,
      out: `${JSON.stringify({ namespace: ns, done: "delete" })}\n`,
    });
    expect((await scene.run(`namespace info ${ns}`)).code).toBe(3);
    expect((await scene.run(`namespace delete ${ns} --yes`)).code).toBe(3);
  });

  it("is asked for by its name before it is deleted, on a terminal", async () => {
    const ns = some();
    await scene.run(`namespace create ${ns}`);
    const wrong = await scene.run(`namespace delete ${ns}`, { columns: 80, stdin: "another\n" });
    expect(wrong).toMatchObject({ code: 1, err: expect.stringContaining("Nothing was deleted") });
    expect((await scene.run(`namespace delete ${ns}`, { columns: 80, stdin: "" })).code).toBe(1);
    expect((await scene.run(`namespace info ${ns}`)).code).toBe(0);
    expect((await scene.run(`namespace delete ${ns}`, { columns: 80, stdin: `${ns}\n` })).code).toBe(0);
    expect((await scene.run(`namespace info ${ns}`)).code).toBe(3);
  });

  it("that is in use, or has runs that are not over, is not deleted without --force", async () => {
    const used = await scene.run(`namespace delete ${scene.namespace} --yes`);
    expect(used).toMatchObject({ code: 5, err: expect.stringContaining(`is in use by ${scene.coordinator.id}`) });
    const other = await setScene();
    await other.worker.stop({ drainMs: 0 });
    await other.client.start(holding, {}, { id: "left" });
    await other.coordinator.stop();
    const going = await other.run(`namespace delete ${other.namespace} --yes`);
    expect(going).toMatchObject({ code: 5, err: expect.stringMatching(/^error: Run left of namespace .* is running/) });
    expect((await other.run(`namespace delete ${other.namespace} --yes --force`)).code).toBe(0);
    await other.client.close();
    await other.server.stop();
  });

  it("is that of --namespace where none is named, and not two at once", async () => {
    const ns = some();
    expect((await scene.run(`namespace create -n ${ns}`)).code).toBe(0);
    expect((await scene.run(`namespace info -n ${ns}`)).out).toMatch(new RegExp(`^namespace +${ns}$`, "m"));
    expect((await scene.run(`namespace info ${ns} -n other`)).code).toBe(2);
    expect((await scene.run("namespace info", { env: { STEPSTREAM_NAMESPACE: ns } })).out).toContain(ns);
  });

  it.each([
    "create a.b",
    "create x --partitions many",
    "create x --replicas 2",
    "create x --retain order",
    "create x --retain 1d --retain 2d",
    "create x --archive",
  ])("refuses %s: exit code 2, and nothing is made", async (args) => {
    const { code, err } = await scene.run(`namespace ${args}`);
    expect(code).toBe(2);
    expect(err).not.toContain("    at ");
    expect((await scene.run("namespace info x")).code).toBe(3);
  });
});
