/** The modules of the image, run by the programs; test/deploy/image.docker.test.ts runs them in it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { connect } from "@stepstream/sdk";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../../test/support/nats.ts";
import { order } from "./workflows.ts";

let server: TestServer;
const children: ChildProcess[] = [];
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  await server?.stop();
});

it("orders are charged, in spite of a bank that does not always answer, and some come back", async () => {
  const bus = { nats: server.url, namespace: `containers-${process.pid}` };
  for (const [program, module] of [
    ["coordinator", "workflows"],
    ["step-worker", "handlers"],
  ]) {
    const main = fileURLToPath(new URL(`../../services/${program}/src/main.ts`, import.meta.url));
    const args = [main, "--nats", bus.nats, "--namespace", bus.namespace, "--quiet", `./${module}.ts`];
    const cwd = fileURLToPath(new URL(".", import.meta.url));
    const child = spawn(process.execPath, args, { cwd, stdio: ["ignore", "ignore", "inherit", "ipc"] });
    children.push(child);
    await once(child, "message");
  }
  const client = await connect(bus);
  const runs = Array.from({ length: 100 }, (_, i) => client.start(order, { item: `book ${i}`, cents: 995 }));
  const results = await Promise.all(runs.map(async (run) => (await run).result()));
  for (const { receipt } of results) expect(receipt).toMatch(/^receipt-/);
  expect(new Set(results.map(({ returned }) => returned))).toEqual(new Set([true, false]));
  await client.close();
});
