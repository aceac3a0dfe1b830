/** `watch` and `queue --watch` as a person sees them: on a terminal that is drawn again in place. */
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { noTerminal, openTerminal, type Terminal, type TerminalOptions } from "../support/terminal.ts";
import { holding, parent, type Scene, setScene, sum } from "./scene.ts";

const MAIN = fileURLToPath(new URL("../../packages/cli/src/main.ts", import.meta.url));

describe.skipIf(noTerminal)("on a terminal", () => {
  let scene: Scene;
  let terminal: Terminal | undefined;
  beforeAll(async () => {
    scene = await setScene();
  });
  afterAll(() => scene?.stop());
  afterEach(() => terminal?.close());

  function stepstream(args: string, options: TerminalOptions = {}): Terminal {
    const env = { ...process.env, NATS_URL: scene.server.url, STEPSTREAM_NAMESPACE: scene.namespace };
    delete (env as Record<string, string | undefined>).NO_COLOR;
    terminal = openTerminal(process.execPath, [MAIN, ...args.split(" ")], { env, columns: 90, rows: 24, ...options });
    return terminal;
  }

  it("watch draws a run and its child in place, and leaves the end of it on the screen", async () => {
    const run = await scene.client.start(parent, {}, { id: "watched" });
    const screen = stepstream("watch watched");
    await screen.until(/● 1 hold/);
    expect(screen.screen()).toMatch(/watched {2}parent@1 {2}running/);
    expect(screen.screen()).toMatch(/└─ ● 1 child watched-held \(holding@1\).*\n {3}└─ ● 1 hold/);
    scene.release();
    await run.result();
    expect(await screen.exited).toBe(0);
    // One tree, not one below the other.
    expect(screen.everything().match(/parent@1/g)).toHaveLength(1);
    expect(screen.screen()).toMatch(/watched {2}parent@1 {2}completed/);
  });

  it("watch shows how far a run is, its attempts and its failure", async () => {
    const run = await scene.client.start(sum, [1, 7, 13], { id: "failing" });
    await run.result().catch(() => {});
    const screen = stepstream("watch failing");
    expect(await screen.exited).toBe(1);
    expect(screen.screen()).toMatch(/\[█{16}░{8}\] {2}67 % {2}2 of 3 {2}added 7/);
    expect(screen.screen()).toMatch(/✓ 2 add .* attempt 2\n.*attempt 1: ERROR: 7 never works at first/);
    expect(screen.screen()).toMatch(/✗ 3 add/);
    expect(screen.screen()).toContain("STEP_FAILED");
  });

  it("watch fits a run of many steps on a small screen", async () => {
    const run = await scene.client.start(
      sum,
      Array.from({ length: 60 }, (_, i) => i + 20),
      { id: "long" },
    );
    await run.result();
    const screen = stepstream("watch long", { rows: 14, columns: 60 });
    expect(await screen.exited).toBe(0);
    expect(screen.screen()).toContain("more, that are over");
    expect(screen.screen().split("\n").length).toBeLessThanOrEqual(14);
  });

  it("Ctrl-C ends the watching, not the run", async () => {
    const run = await scene.client.start(holding, {}, { id: "goes-on" });
    const screen = stepstream("watch goes-on");
    await screen.until("● 1 hold");
    screen.type("\x03");
    expect(await screen.exited).toBe(130);
    expect((await run.status()).status).toBe("running");
    await run.terminate();
  });

  it("queue --watch is drawn again every second, in place", async () => {
    const run = await scene.client.start(holding, {});
    const screen = stepstream("queue --watch");
    await screen.until(/hold +0 +1 /);
    await run.terminate();
    await screen.until(/hold +0 +0 /);
    expect(screen.everything().match(/WAITING/g)).toHaveLength(1);
    screen.type("\x03");
    await screen.exited;
  });
});
