/** Containment: whatever the code of one run does, the other runs and both coordinators go on, and the run can be removed. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { ContainmentScene } from "./containment-scene.ts";
import * as faulty from "./programs/contained/faulty.ts";

let server: TestServer;
let scene: ContainmentScene;
let count = 0;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());
beforeEach(async () => {
  scene = new ContainmentScene(server, `contain-${process.pid}-${++count}`, ["programs/contained/faulty.ts"]);
  await scene.open();
});
afterEach(() => scene?.close());

describe("a run whose code throws", () => {
  it("fails, and is there after a restart of everything", { timeout: 120_000 }, async () => {
    await scene.start(faulty.thrower, {}, "thrower");
    await scene.hasFailed("thrower", /it is broken/);
    await scene.othersAreWell();
    await scene.restart();
    await scene.othersAreWell();
    await scene.hasFailed("thrower", /it is broken/);
    await scene.canBeRemoved("thrower", /it is broken/);
    expect(await scene.cli(["show", "thrower"])).toMatchObject({ code: 3 });
  });
});
