/**
 * A coordinator begins from the log on a new connection after code was stopped (ADR 15), also where its connection or its
 * log was given to it: that one is not used any more, and is still its owner's.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { connect } from "@stepstream/sdk";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { loops, other } from "./programs/given-workflows.ts";

const PROGRAM = fileURLToPath(new URL("programs/given-connection.ts", import.meta.url));

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());

it.each(["connection", "log"])("a %s that was given", { timeout: 120_000 }, async (kind) => {
  const namespace = `given-${kind}-${process.pid}`;
  const child = spawn(process.execPath, [PROGRAM, kind, server.url, namespace], { stdio: ["pipe", "pipe", "inherit"] });
  const events: any[] = [];
  createInterface(child.stdout).on("line", (line) => void (line.startsWith("{") && events.push(JSON.parse(line))));
  const comes = (type: string, times = 1) =>
    expect
      .poll(() => events.filter((event) => event.type === type).length, { timeout: 40_000 })
      .toBeGreaterThanOrEqual(times);
  try {
    await comes("ready");
    const client = await connect({ nats: server.url, namespace });
    const before = await client.start(other, 1, { id: "before" });
    expect(await before.result({ timeout: "20s" })).toBe("well");
    const looping = await client.start(loops, 1, { id: "r1" });
    // Tried once more, on the new connection, and then parked.
    await comes("restarted", 2);
    await expect.poll(async () => (await looping.status()).status, { timeout: 20_000 }).toBe("parked");
    expect(events.filter(({ type }) => type === "stopped")).toHaveLength(2);
    const after = await client.start(other, 1, { id: "after" });
    expect(await after.result({ timeout: "20s" })).toBe("well");
    await looping.terminate({ timeout: "20s" });
    await client.close();

    child.stdin.write("ask\n");
    await comes("given");
    const given = events.find(({ type }) => type === "given");
    // Whether the driver still answers on it is chance: a continuation of its own may be lost.
    expect(given).toEqual({ type: "given", isClosed: false, stopped: "done" });
  } finally {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
});
