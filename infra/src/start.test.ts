import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { findNatsServer } from "./find.ts";
import { untilReady } from "./server/ready.ts";
import { type NatsServer, type StartOptions, startNatsServer } from "./start.ts";

const found = await findNatsServer({ env: { ...process.env, NATS_URL: "" } });

let server: NatsServer | undefined;
const start = async (options: StartOptions = {}) => {
  server = await startNatsServer({ found, ...options });
  return server;
};
afterEach(() => server?.stop());

const answers = (url: string, timeoutMs: number) => {
  const { hostname, port } = new URL(url);
  return untilReady({ host: hostname, port: Number(port) }, timeoutMs).then(
    () => true,
    () => false,
  );
};

describe.skipIf(found.kind !== "binary")("a server that was started", () => {
  it("answers at once, and no more once stopped", async () => {
    const { url, stop } = await start();
    expect(await answers(url, 0)).toBe(true);
    await stop();
    expect(await answers(url, 0)).toBe(false);
  });

  it("comes back at the same address after a kill, and after a restart while it runs", async () => {
    const { url, kill, restart } = await start();
    await kill();
    expect(await answers(url, 0)).toBe(false);
    await restart();
    expect(await answers(url, 0)).toBe(true);
    await restart();
    expect(await answers(url, 0)).toBe(true);
  });

  it("takes sync_interval always", async () => {
    const lines: string[] = [];
    const { url } = await start({ syncInterval: "always", log: (line) => lines.push(line) });
    expect(await answers(url, 0)).toBe(true);
    expect(lines.join("\n")).toContain("dev-sync-always.conf");
  });

  it("keeps a store folder that was given", async () => {
    const storeDir = mkdtempSync(join(tmpdir(), "stepstream-store-"));
    const { stop } = await start({ storeDir });
    await stop();
    expect(existsSync(join(storeDir, "jetstream"))).toBe(true);
    rmSync(storeDir, { recursive: true });
  });

  it("says so when the port is taken", async () => {
    const { url } = await start();
    const port = Number(new URL(url).port);
    await expect(startNatsServer({ found, port })).rejects.toThrow(/could not listen.*address already in use|Only one/);
  });

  it("may be one that NATS_URL names, which is not ours to kill", async () => {
    const { url } = await start();
    const theirs = await startNatsServer({ found: { kind: "url", url } });
    await expect(theirs.kill()).rejects.toThrow("not ours to kill or restart");
    await theirs.stop();
    expect(await answers(url, 0)).toBe(true);
  });
});

describe("a command that is no nats-server", () => {
  it("fails with what it said last", async () => {
    const wrong = { kind: "binary", path: process.execPath, version: "2.15.1", source: "test" } as const;
    await expect(startNatsServer({ found: wrong })).rejects.toThrow(/ended with \d+ before it was ready:\n/);
  });
});
