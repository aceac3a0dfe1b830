import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { RunState } from "@stepstream/sdk";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fold, type RunRow, type Seen } from "./fold.ts";
import { RunStore } from "./store.ts";

let seq = 0;
const seen = (kind: Seen["kind"], run: string, message: object, at = 1_000): Seen => ({
  kind,
  run,
  seq: ++seq,
  at,
  text: JSON.stringify({ v: 1, ...message }),
});
const start = (run: string, more: object = {}, at?: number) =>
  seen("inbox", run, { type: "RunStarted", id: `s-${run}`, workflow: "order", version: 1, input: {}, ...more }, at);
const result = (run: string) =>
  seen("inbox", run, { type: "StepCompleted", slot: 1, step: "charge", attempt: 1, output: '"RunStarted"' });
const decision = (run: string, events: object[], at?: number) =>
  seen("journal", run, { type: "Decision", upTo: seq, by: "c-1", events }, at);
const scheduled = { type: "StepScheduled", slot: 1, step: "charge", input: {} };
const error = { name: "Error", code: "STEP_FAILED", message: "no luck" };
const park = (run: string) =>
  seen("parked", run, { type: "RunParked", run, workflow: "order", version: 1, code: "UNKNOWN_WORKFLOW", error });

const folded = (...messages: Seen[]) => messages.reduce<RunRow | undefined>((row, seen) => fold(row, seen), undefined);

describe("the fold", () => {
  it("begins with a start, and with nothing else", () => {
    expect(folded(result("a"), decision("a", [scheduled]), park("a"))).toBeUndefined();
    expect(folded(start("a", { parent: { run: "b", slot: 3 } }, 77))).toMatchObject({
      run: "a",
      workflow: "order",
      version: 1,
      status: "running",
      startedAt: 77,
      endedAt: null,
      parent: "b",
    });
  });

  it.each<[string, object, Partial<RunRow>]>([
    ["completed", { type: "RunCompleted", output: 1 }, { status: "completed", code: null }],
    ["failed", { type: "RunFailed", error }, { status: "failed", code: "STEP_FAILED", message: "no luck" }],
    ["cancelled", { type: "RunCancelled", reason: "enough" }, { status: "cancelled", message: "enough" }],
    ["terminated", { type: "RunTerminated", reason: "stuck" }, { status: "terminated", message: "stuck" }],
  ])("closes a run that was %s, once", (_, end, expected) => {
    const row = folded(start("a"), decision("a", [scheduled, end], 2_000));
    expect(row).toMatchObject({ ...expected, endedAt: 2_000 });
    expect(folded(start("a"), decision("a", [end], 2_000), decision("a", [end], 3_000))).toMatchObject({
      endedAt: 2_000,
    });
  });

  it("parks a run, and lets it go on with its next decision", () => {
    expect(folded(start("a"), park("a"))).toMatchObject({ status: "parked", code: "UNKNOWN_WORKFLOW" });
    expect(folded(start("a"), park("a"), decision("a", [scheduled]))).toMatchObject({ status: "running", code: null });
  });

  it("takes a second start for another run, of an id that was deleted (F1)", () => {
    const again = start("a", { workflow: "other" });
    const row = folded(start("a"), decision("a", [{ type: "RunCompleted" }]), again);
    expect(row).toMatchObject({ workflow: "other", status: "running", endedAt: null, startedSeq: again.seq });
  });

  it("is not impressed by what cannot be read, or only looks like a start (F3)", () => {
    const before = folded(start("a"))!;
    const spoiled = (kind: Seen["kind"], text: string) => fold(before, { kind, run: "a", seq: ++seq, at: 1, text });
    expect(fold(before, result("a"))).toBe(before);
    expect(spoiled("inbox", '{"type":"RunStarted"')).toBe(before);
    expect(spoiled("journal", '"RunCompleted" it says')).toBe(before);
    expect(spoiled("parked", "")).toBe(before);
  });
});

describe("the file", () => {
  let folder: string;
  let path: string;
  const stores: RunStore[] = [];
  const open = (options?: { rebuild: boolean }) => {
    const store = RunStore.open(path, options);
    stores.push(store);
    return store;
  };
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "stepstream-runs-"));
    path = join(folder, "deep", "runs.sqlite");
  });
  afterEach(() => {
    for (const store of stores.splice(0)) store.close();
    rmSync(folder, { recursive: true });
  });
  const take = (store: RunStore, ...batch: Seen[]) =>
    store.take(batch, { seq: batch.at(-1)!.seq, at: batch.at(-1)!.at });
  const ids = (rows: readonly RunRow[]) => rows.map(({ run }) => run);

  it("folds each message once, whoever brings it, in whatever pieces", () => {
    const messages = [start("a"), start("b"), decision("a", [{ type: "RunCompleted" }], 5_000), start("a"), park("b")];
    const [one, other] = [open(), open()];
    take(one, ...messages.slice(0, 3));
    take(other, ...messages.slice(0, 2)); // had been slower
    take(other, ...messages);
    take(one, ...messages);
    expect(one.list({ limit: 10 })).toEqual(other.list({ limit: 10 }));
    expect(Object.fromEntries(one.count({}))).toEqual({ running: 1, parked: 1 });
    expect(other.cursor.seq).toBe(messages.at(-1)!.seq);
  });

  it("filters, sorts, counts", () => {
    const store = open();
    take(
      store,
      start("a", {}, 1_000),
      start("b", { workflow: "ship", version: 2 }, 2_000),
      start("c", { parent: { run: "a", slot: 1 } }, 3_000),
      start("d", { workflow: "_schedule" }, 4_000),
      decision("a", [{ type: "RunFailed", error }], 9_000),
    );
    const list = (wanted: object) => ids(store.list({ limit: 10, ...wanted }));
    expect(list({})).toEqual(["c", "b", "a"]);
    expect(list({ builtin: true })).toEqual(["d", "c", "b", "a"]);
    expect(list({ workflow: "ship" })).toEqual(["b"]);
    expect(list({ workflow: "ship@1" })).toEqual([]);
    expect(list({ status: ["failed", "parked"] satisfies RunState[] })).toEqual(["a"]);
    expect(list({ since: 2_000, until: 3_000 })).toEqual(["b"]);
    expect(list({ parent: "a" })).toEqual(["c"]);
    expect(list({ limit: 2 })).toEqual(["c", "b"]);
    expect(Object.fromEntries(store.count({ workflow: "order" }))).toEqual({ failed: 1, running: 1 });
  });

  it("forgets what is deleted, and unparks what has no record any more", () => {
    const store = open();
    take(store, start("a"), start("b"), park("a"), park("b"));
    store.unpark(new Set(["b"]), seq);
    expect(Object.fromEntries(store.count({}))).toEqual({ running: 1, parked: 1 });
    store.keepOnly(new Set(["a"]), 7, seq);
    expect(ids(store.list({ limit: 9 }))).toEqual(["a"]);
    expect(store.cursor.deleted).toBe(7);
  });

  it("keeps what another has folded in since the bus was asked what there is", () => {
    const [one, other] = [open(), open()];
    take(one, start("a"));
    const asked = seq;
    take(other, start("new"), park("new"));
    one.keepOnly(new Set(["a"]), 1, asked);
    one.unpark(new Set(), asked);
    expect(one.list({ limit: 9 }).map(({ run, status }) => [run, status])).toEqual([
      ["new", "parked"],
      ["a", "running"],
    ]);
  });

  it("is made anew where it is asked for, broken, or of another version", () => {
    take(open(), start("a"));
    expect(open().cursor.seq).toBeGreaterThan(0);
    expect(open({ rebuild: true }).cursor.seq).toBe(0);
    for (const store of stores.splice(0)) store.close();
    writeFileSync(path, "this is no database, but long enough to be looked at as one".repeat(100));
    expect(open().cursor.seq).toBe(0);
  });

  it.each([
    ["its folder cannot be created", () => writeFileSync(dirname(path), "a file, where the folder should be")],
    ["it cannot be opened", () => mkdirSync(path, { recursive: true })],
  ])("is in memory where %s, and empty each time", (_, prevent) => {
    prevent();
    const store = open();
    take(store, start("a"), start("b"));
    expect(ids(store.list({ limit: 10 }))).toEqual(["b", "a"]);
    expect(open().cursor.seq).toBe(0);
  });
});
