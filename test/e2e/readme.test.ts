/** The README's program is run as it stands there, but for the server, the namespace and the hour of sleep. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";

const README = new URL("../../README.md", import.meta.url);
const PROGRAM = new URL(`../.readme-${process.pid}.ts`, import.meta.url);

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(async () => {
  await rm(PROGRAM, { force: true });
  await server?.stop();
});

it("the README's program prints its result", async () => {
  const [, code] = /```ts\n([\s\S]*?)```/.exec(await readFile(README, "utf8"))!;
  const changes: [string, string][] = [
    ["nats://127.0.0.1:4222", server.url],
    ['namespace: "shop"', `namespace: "readme-${process.pid}"`],
    ['w.sleep("1h")', 'w.sleep("10ms")'],
  ];
  let program = code!;
  for (const [from, to] of changes) {
    expect(program).toContain(from);
    program = program.replace(from, to);
  }
  await writeFile(PROGRAM, program);
  const child = spawn(process.execPath, [PROGRAM.pathname], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(child.stdout, "data");
  expect(String(line)).toContain("{ parcel: 'p-1' }");
  child.kill("SIGKILL");
  await once(child, "exit");
});
