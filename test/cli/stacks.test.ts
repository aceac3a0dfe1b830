/** Where in the user's code something went wrong is in `show` and `history`, without a look at the logs of a worker. */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { breaking, type Scene, setScene, sum } from "./scene.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const HANDLER = /\bat .*test\/cli\/scene\.ts:\d+:\d+\)?/;

let scene: Scene;
beforeAll(async () => {
  scene = await setScene();
  await (await scene.client.start(sum, [13], { id: "failed" })).result().catch(() => {});
  await scene.client.start(breaking, {}, { id: "retries" });
});
afterAll(() => scene?.stop());

it("show has file and line of the handler that failed for good, without frames of ours or of Node.js", async () => {
  const { out } = await scene.run("show failed", { cwd: ROOT });
  expect(out).toMatch(/because 13 brings no luck\n +at .*/);
  expect(out).toMatch(HANDLER);
  expect(out).not.toMatch(/node:|services\/step-worker|packages\/telemetry/);
  // From where one is: a name that an editor opens.
  expect(out).not.toContain(ROOT);
});

it("show has it of the last attempt of what is tried again", async () => {
  await expect
    .poll(async () => (await scene.run("show retries", { cwd: ROOT })).out, { timeout: 5_000 })
    .toMatch(HANDLER);
});

it("history has it under each attempt that failed, and as stack in JSON", async () => {
  const { out } = await scene.run("history failed", { cwd: ROOT });
  expect(out).toMatch(/AttemptFailed .*13 brings no luck.*\n +at .*scene\.ts:\d+/);
  const json = (await scene.run("history failed --json")).out.trim().split("\n");
  const attempt = json.map((line) => JSON.parse(line)).find(({ kind }) => kind === "attempt");
  expect(attempt.message.error.stack).toMatch(HANDLER);
});
