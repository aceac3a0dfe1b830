import { appendFile, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { archiveIn } from "./archive.ts";
import type { ArchivedRun } from "./shell/archived-run.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "stepstream-archive-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function ended(run: string, day = "2026-11-27", more: object = {}): ArchivedRun {
  const at = `${day}T10:00:00.000Z`;
  const about = { namespace: "shop", workflow: "order@1", outcome: "completed" } as const;
  return { run, ...about, startedAt: at, endedAt: at, history: [], ...more };
}

const lines = async (file: string) =>
  (await readFile(join(folder, "deep", file), "utf8"))
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

describe("an archive", () => {
  it("has a line for each run, in the file of its day, when the call has returned (V1)", async () => {
    const archive = archiveIn(join(folder, "deep"));
    const many = Array.from({ length: 50 }, (_, n) => ended(`r${n}`, undefined, { history: ["x".repeat(n * 1_000)] }));
    await Promise.all([...many, ended("other", "2026-11-28")].map(archive));
    expect(await readdir(join(folder, "deep"))).toEqual(["shop-2026-11-27.jsonl", "shop-2026-11-28.jsonl"]);
    expect(await lines("shop-2026-11-27.jsonl")).toEqual(many);
    expect(await lines("shop-2026-11-28.jsonl")).toEqual([ended("other", "2026-11-28")]);
  });

  it.each([1, 70_000, 200_000])("cuts off what a crash has left of a line (V2): %i bytes", async (left) => {
    const file = join(folder, "deep", "shop-2026-11-27.jsonl");
    await archiveIn(join(folder, "deep"))(ended("a"));
    await appendFile(file, "{".repeat(left));
    await archiveIn(join(folder, "deep"))(ended("b"));
    expect(await lines("shop-2026-11-27.jsonl")).toEqual([ended("a"), ended("b")]);
  });

  it("begins anew where there is nothing but half a line", async () => {
    const archive = archiveIn(join(folder, "deep"));
    await archive(ended("a"));
    await rm(join(folder, "deep", "shop-2026-11-27.jsonl"));
    await appendFile(join(folder, "deep", "shop-2026-11-27.jsonl"), '{"run":"a');
    await archive(ended("b"));
    expect(await lines("shop-2026-11-27.jsonl")).toEqual([ended("b")]);
  });

  it("fails for a run that cannot be written, and not for the next", async () => {
    const archive = archiveIn(join(folder, "deep"));
    await expect(archive(ended("a", undefined, { history: [1n] }))).rejects.toThrow();
    await archive(ended("b"));
    expect(await lines("shop-2026-11-27.jsonl")).toEqual([ended("b")]);
  });
});
