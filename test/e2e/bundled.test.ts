/** Coordinator, worker and client run from one bundled file, without their packages beside it, and are watched. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { rolldown } from "rolldown";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";

const PROGRAM = fileURLToPath(new URL("programs/bundled.ts", import.meta.url));

let server: TestServer;
let folder: string;
beforeAll(async () => {
  [server, folder] = await Promise.all([startTestServer(), mkdtemp(join(tmpdir(), "stepstream-bundle-"))]);
});
afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

it.each([
  ["an ES module", "esm", { keepNames: true }, [], /program\.mjs:\d+:\d+/],
  ["CommonJS, with its source map", "cjs", { minify: true }, ["--enable-source-maps"], /bundled\.ts:1[1-3]:\d+/],
] as const)("as %s", { timeout: 60_000 }, async (_what, format, output, args, place) => {
  const file = join(folder, format === "esm" ? "program.mjs" : "program.cjs");
  const bundle = await rolldown({ input: PROGRAM, platform: "node", logLevel: "silent" });
  await bundle.write({ ...output, format, file, sourcemap: true, codeSplitting: false });
  const env = { ...process.env, NATS_URL: server.url, STEPSTREAM_NAMESPACE: `bundled-${format}-${process.pid}` };
  const { stdout } = await promisify(execFile)(process.execPath, [...args, file], { env });
  const { output: returned, events } = JSON.parse(stdout);
  expect(returned).toBe("done");
  expect(events.map(({ type }: { type: string }) => type)).toEqual(["forgotten", "stopped", "stopped"]);
  for (const { where } of events.slice(1)) expect(where).toMatch(place);
});
