/** What `doctor` finds on servers of the tests, and ways to break them. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cli } from "../scene.ts";

export interface Found {
  code: number;
  /** What is wrong. */
  wrong: Finding[];
  /** All of it. */
  all: Finding[];
  tookMs: number;
}

export interface Finding {
  check: string;
  level: "ok" | "warn" | "error" | "accepted";
  about: string;
  seen: string;
  todo?: string;
}

/** One replica is what the servers of most tests have. */
const ACCEPT = "--accept durability";

/** @throws {Error} It ended with another code than 0 or 1. */
export async function doctor(url: string, namespace: string, args = ACCEPT): Promise<Found> {
  const startedAt = performance.now();
  const ran = await cli(`doctor --json ${args}`.trim(), { NATS_URL: url, STEPSTREAM_NAMESPACE: namespace });
  const tookMs = performance.now() - startedAt;
  if (ran.code > 1) throw new Error(`doctor ended with ${ran.code}: ${ran.err}`);
  const all = ran.out
    .split("\n")
    .filter((line) => line !== "")
    .map((line): Finding => JSON.parse(line));
  return { code: ran.code, all, wrong: all.filter(({ level }) => level === "error"), tookMs };
}

/** Longest that an answer may take: "within seconds". */
export const SECONDS_MS = 10_000;

/**
 * From now on a process cannot write to a file beyond that many bytes: to nats-server this is a full disk.
 * @returns false where that cannot be done: only Linux has prlimit.
 */
export async function fillDisk(pid: number, bytes: number | "unlimited"): Promise<boolean> {
  if (process.platform !== "linux") return false;
  // Only the soft limit, which can be raised again.
  const child = spawn("prlimit", [`--fsize=${bytes}:`, "--pid", `${pid}`], { stdio: "inherit" });
  const [code] = await Promise.race([once(child, "exit"), once(child, "error").then(() => [1])]);
  return code === 0;
}
