/** Containment: whatever a schema does, its run alone fails, and both coordinators and the other runs go on. */

import { workflow } from "@stepstream/sdk";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { ContainmentScene } from "./containment-scene.ts";
import { echo, schemas } from "./programs/contained/schemas.ts";

let server: TestServer;
let scene: ContainmentScene;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());
beforeEach(async () => {
  scene = new ContainmentScene(server, `schemas-${process.pid}`, ["programs/contained/schemas.ts"], (worker) =>
    worker.handle(echo, async (input) => input),
  );
  await scene.open();
});
afterEach(() => scene?.close());

/** The coordinators are to find out: this process does not run the schemas. */
const blind = ({ name }: { name: string }) =>
  workflow(name, { input: z.any(), output: z.any() }, async () => undefined);

const ASYNC = /async schemas are not supported|its schema threw \(setTimeout\(\)/;
const FAULTY = [
  ["slow-output", ASYNC],
  ["slow-step", ASYNC],
  ["slow-input", ASYNC],
  ["thrower", /its schema threw \(bug in a schema\)/],
] as const;

describe("a run whose schemas throw, are async, or start what fails later", () => {
  it("fails with the reason, or completes, before and after a restart", { timeout: 120_000 }, async () => {
    for (const [name] of FAULTY) await scene.start(blind(schemas[name]), 1, name);
    await scene.start(blind(schemas.aside), 1, "aside");
    await scene.start(blind(schemas.aside), 1, "aside-later");
    await scene.client.get("aside").signal("go", 1);
    expect(await scene.client.get("aside").result({ signal: AbortSignal.timeout(15_000) })).toBe(1);
    for (const [name, why] of FAULTY) await scene.hasFailed(name, why);
    await scene.othersAreWell();
    await scene.restart();
    await scene.client.get("aside-later").signal("go", 1);
    expect(await scene.client.get("aside-later").result({ signal: AbortSignal.timeout(15_000) })).toBe(1);
    for (const [name, why] of FAULTY) await scene.hasFailed(name, why);
    for (const [name] of FAULTY) await scene.canBeRemoved(name);
    await scene.othersAreWell();
  });
});
