import { expect, it } from "vitest";
import { isSame, processes } from "./processes.ts";

it.runIf(process.platform !== "win32")("finds this process, and what started it", () => {
  const own = processes().find(({ pid }) => pid === process.pid);
  expect(own).toMatchObject({ pid: process.pid, parent: process.ppid, startedAt: expect.stringMatching(/\d/) });
});

it("is told from another of the same number (P2)", () => {
  const one = { pid: 7, parent: 1, startedAt: "100" };
  expect(isSame(one, { ...one })).toBe(true);
  expect(isSame(one, { ...one, startedAt: "200" })).toBe(false);
  expect(isSame(one, { ...one, pid: 8 })).toBe(false);
  expect(isSame(undefined, undefined)).toBe(false);
});
