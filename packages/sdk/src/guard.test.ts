import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, describe, expect, it, vi } from "vitest";
import "./guard.ts";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const run = (...args: string[]) => promisify(execFile)(process.execPath, args);

describe("outside workflow code, with the SDK", () => {
  it("a program sees the same globals as without it", async () => {
    const without = await run(path("../test/probe.mjs"));
    const beside = await run(path("../test/probe.mjs"), new URL("./index.ts", import.meta.url).href);
    expect(JSON.parse(beside.stdout)).toEqual(JSON.parse(without.stdout));
    expect(JSON.parse(beside.stdout).equal).toEqual([false, true, false, true, "AssertionError"]);
  });

  it("two copies of it are one guard: what is replaced stays, and either names the run", async () => {
    const before = [Date, setTimeout, Math.random];
    const copy = "./guard.ts?copy";
    const { addGuardSource }: typeof import("./guard.ts") = await import(copy);
    expect([Date, setTimeout, Math.random]).toEqual(before);
    let inside = true;
    addGuardSource(() => (inside ? { now: () => 5, random: () => 0.5, uuid: () => "u" } : undefined));
    expect([Date.now(), Math.random()]).toEqual([5, 0.5]);
    inside = false;
    expect(Date.now()).toBeGreaterThan(1e12);
  });

  afterEach(() => void vi.useRealTimers());

  it("fake timers work, and leave things as they were", () => {
    const equal = () => new Date(1).constructor === Date && new Date().constructor === Date;
    expect(equal()).toBe(true);
    vi.useFakeTimers({ now: 5_000 });
    expect([Date.now(), new Date().getTime()]).toEqual([5_000, 5_000]);
    expect(new Date(1) instanceof Date).toBe(true);
    let fired = false;
    setTimeout(() => {
      fired = true;
    }, 1_000);
    vi.advanceTimersByTime(1_000);
    expect(fired).toBe(true);
    vi.useRealTimers();
    expect(equal()).toBe(true);
    expect(Date.now()).toBeGreaterThan(1e12);
  });
});
