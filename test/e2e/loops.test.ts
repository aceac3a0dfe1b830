/**
 * Endless loops in workflow code: both coordinators stay up, the others go on, the run is parked with the line, and can
 * be shown, terminated and deleted, before and after a restart of everything.
 */

import type { Worker } from "@stepstream/step-worker";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { ContainmentScene } from "./containment-scene.ts";
import { handlers, loops, one, outputs, unreadable } from "./programs/contained/loops.ts";

let server: TestServer;
let scene: ContainmentScene;
let count = 0;
/** The kinds of loops are many; one of them shows what the default limit promises, and the others need not wait so long. */
const SHORT = { stallMs: 600 };

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());
async function open(how: { stallMs?: number } = {}): Promise<void> {
  const modules = ["programs/contained/loops.ts"];
  const handle = (worker: Worker) => worker.handle(one, async (n) => n).handle(unreadable, async (n) => n);
  scene = new ContainmentScene(server, `loops-${process.pid}-${++count}`, modules, handle, how);
  await scene.open();
}
afterEach(() => scene?.close());

/** How often the coordinators have stopped code. */
function stops(): number {
  return scene.coordinators.flatMap(({ lines }) => lines.filter((line) => line.includes('"event":"stopped"'))).length;
}
/** What each kind of loop is called by, in programs/contained/loops.ts. */
const at = (name: string) =>
  new RegExp(`blocked the event loop for [\\d.]+ s and was stopped at \\S+loops\\.ts:\\d+:\\d+.*${name}`);

describe("a workflow that never gives the event loop back", () => {
  it("is stopped, tried once more and parked, and the others go on at once", { timeout: 180_000 }, async () => {
    await open();
    await scene.start(loops, { kind: "while" }, "while");
    const others = scene.othersAreWell();
    await expect.poll(stops, { timeout: 10_000 }).toBeGreaterThan(0);
    // The other coordinator may have taken it over and read who tries it: then that comes at the next look, in 30 s.
    await expect.poll(stops, { timeout: 60_000 }).toBe(2);
    await scene.isParked("while", at("endless"));
    await others;
    await scene.othersAreWell();
    expect(stops()).toBe(2);

    await scene.restart();
    // Its code may be another now, so it is tried once, by one of them.
    await expect.poll(stops, { timeout: 60_000 }).toBe(1);
    await scene.othersAreWell();
    await scene.isParked("while", at("endless"));
    await scene.canBeRemoved("while", /loops\.ts:\d+/);
    expect(stops()).toBe(1);
  });

  it("is stopped wherever the loop is", { timeout: 300_000 }, async () => {
    await open(SHORT);
    const kinds = ["await", "chain", "nextTick", "regex", "sort", "getter", "toJSON", "sideEffect", "until", "output"];
    for (const kind of kinds) {
      await scene.start(loops, { kind }, kind);
      await scene.isParked(kind, at(""), 40_000);
    }
    await scene.start(outputs, {}, "outputs");
    await scene.isParked("outputs", at("endlessHere|endless"), 40_000);
    await scene.othersAreWell(60_000);
    for (const run of [...kinds, "outputs"]) await scene.canBeRemoved(run, /loops\.ts:\d+/);
  });

  it("is stopped if it catches its own stack overflow, and known among others in the same turn", {
    timeout: 180_000,
  }, async () => {
    await open(SHORT);
    const others = Array.from({ length: 20 }, (_, i) => `well-${i}`);
    await Promise.all([
      scene.start(loops, { kind: "overflow" }, "overflow"),
      ...others.map((run) => scene.start(loops, { kind: "none" }, run)),
    ]);
    await scene.isParked("overflow", at("again"), 60_000);
    await scene.othersAreWell(60_000);
    for (const run of others) expect(await scene.client.get(run).status()).toMatchObject({ status: "completed" });
    await scene.canBeRemoved("overflow", /loops\.ts:\d+/);
  });

  it("is stopped in what messages call, and a query that is stopped leaves the run alone", {
    timeout: 300_000,
  }, async () => {
    await open(SHORT);
    const queried = await scene.start(handlers, {}, "queried");
    const ask = (query: "stuck" | "well") => queried.query(query);
    await expect(ask("stuck")).rejects.toThrow();
    // By now it is known that this one is not to be called, whichever coordinator has the run.
    await expect
      .poll(() => ask("stuck").catch((error: Error) => error.message), { timeout: 30_000 })
      .toMatch(/its handler blocked the event loop for \d+ ms and was stopped at \S+loops\.ts:\d+/);
    expect(await ask("well")).toBe(42);
    const { status } = await scene.client.get("queried").status();
    expect(status).toBe("running");

    for (const update of ["validated", "handled"] as const) {
      const run = await scene.start(handlers, {}, update);
      const answered = run.update(update, 1, { signal: AbortSignal.timeout(5_000) });
      await expect(answered).rejects.toThrow();
      await scene.isParked(update, at("endless"), 40_000);
      await scene.canBeRemoved(update);
    }
    const run = await scene.start(handlers, {}, "signalled");
    await expect(run.signal("slow", "x", { timeout: "5s" })).rejects.toMatchObject({ code: "CALL_TIMEOUT" });
    await scene.isParked("signalled", at("endless"), 40_000);
    await scene.canBeRemoved("signalled");
    await scene.othersAreWell(60_000);
  });
});
