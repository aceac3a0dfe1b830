import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { watchEventLoop } from "./index.ts";

const BLOCKER = fileURLToPath(new URL("../test/blocker.ts", import.meta.url));
const lines = readFileSync(BLOCKER, "utf8").split("\n");

interface Said {
  what: string;
  at: number;
  who?: string;
  ms?: number;
  over?: boolean;
  store?: string;
  frame?: { file: string; line: number; column: number };
  message?: string;
  code?: number;
}

/** Runs a process that blocks its event loop, to its end. */
async function blocker(
  kind: string,
  options: object = {},
  { args = [], env = {}, signal }: { args?: string[]; env?: NodeJS.ProcessEnv; signal?: (pid: number) => void } = {},
): Promise<Said[]> {
  const child = spawn(process.execPath, [...args, BLOCKER, kind, JSON.stringify(options)], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said: Said[] = [];
  createInterface(child.stdout!).on("line", (line) => {
    said.push(JSON.parse(line));
    if (said.at(-1)!.what === "blocking") signal?.(child.pid!);
  });
  let errors = "";
  createInterface(child.stderr!).on("line", (line) => {
    // Node.js says that if a process ends while the thread is looking, as it does on a busy machine; and does not wait.
    if (line !== "Waiting for the debugger to disconnect...") errors += `${line}\n`;
  });
  const limit = setTimeout(() => child.kill("SIGKILL"), 25_000);
  const [code, killed] = await once(child, "close");
  clearTimeout(limit);
  expect({ code, killed, errors: signal || args.length > 0 ? "" : errors }, JSON.stringify(said)).toEqual({
    code: 0,
    killed: null,
    errors: "",
  });
  return said;
}

const of = (said: Said[], what: string) => said.filter((one) => one.what === what);

describe("code that never gives the event loop back", () => {
  it.each([
    ["while", "for (;;);"],
    ["await", "for (;;) await null;"],
    ["chain", "Promise.resolve().then(again)"],
    ["microtask", "queueMicrotask(again)"],
    ["nextTick", "process.nextTick(again)"],
    ["two", "for (;;) await null;"],
    ["regex", ".test(evil)"],
    ["replace", "evil.replace("],
    ["sort", "for (;;);"],
    ["getter", "for (;;);"],
    ["toJSON", "for (;;);"],
    ["proxy", "for (;;);"],
    ["iterator", ""],
    ["overflow", "again"],
    ["overflowFinally", "again"],
    ["finally", "for (;;);"],
    ["errorName", "for (;;);"],
    ["errorMethod", "for (;;);"],
    ["allocates", ""],
    ["allocates2", ""],
  ])("is stopped, with its place, and everything else in the process works: %s", async (kind, code) => {
    const said = await blocker(kind);
    const [stopping] = of(said, "stopping");
    expect(stopping).toMatchObject({ who: "guilty", frame: { file: BLOCKER } });
    expect(lines[stopping!.frame!.line - 1]).toContain(code);
    expect(stopping!.ms).toBeGreaterThanOrEqual(500);
    expect(of(said, "exit")).toMatchObject([{ code: 0 }]);
    const stops = of(said, "stopped").length;
    // On a busy machine it may be held too late: after the next call was queued, which is then stopped as well.
    if (kind === "nextTick" && stops > 1) return;
    expect(stops).toBe(1);
    expect(of(said, "stopped")[0]).not.toHaveProperty("store");
    expect(of(said, "microtasks")).toMatchObject([{ store: "after" }]);
    for (const what of ["immediate", "tick"]) expect(of(said, what)).toHaveLength(1);
    expect(of(said, "unhandledRejection")).toMatchObject([{ message: "nobody waits for it" }]);
    if (kind !== "nextTick" && kind !== "microtask") expect(of(said, "unblocked")).toEqual([]);
  });

  it("is stopped again and again", async () => {
    const said = await blocker("while", { times: 3 });
    expect(of(said, "stopped")).toHaveLength(3);
  });

  it.each(["await", "chain", "while"])(
    "is stopped where async hooks are on, as with some tracers: %s",
    async (kind) => {
      const said = await blocker(kind, { hooks: true, times: 2 });
      expect(of(said, "stopped")).toHaveLength(2);
      expect(of(said, "exit")).toMatchObject([{ code: 0 }]);
    },
  );

  it("is stopped in timers of which more are due, and those run", async () => {
    const said = await blocker("timers");
    expect(of(said, "stopped").length).toBeGreaterThan(0);
    expect(of(said, "exit")).toMatchObject([{ code: 0 }]);
  });

  it("is stopped although the program was started with a module to preload, which the thread does not load", async () => {
    const code = `console.log('{"what":"preloaded","at":0}')`;
    const preload = `data:text/javascript,${encodeURIComponent(code)}`;
    const said = await blocker("while", {}, { env: { NODE_OPTIONS: `--import=${preload}` } });
    expect(of(said, "preloaded")).toHaveLength(1);
    expect(of(said, "stopped")).toHaveLength(1);
  });
});

describe("code that is not to be stopped", () => {
  it("is reported with its place and how long it has blocked, while it blocks and when it is over", async () => {
    const said = await blocker("long", { guilty: false });
    expect(of(said, "blocked")).toMatchObject([
      { over: false, who: "guilty", frame: { file: BLOCKER } },
      { over: true, who: "guilty" },
    ]);
    const [during, after] = of(said, "blocked");
    expect(during!.at).toBeLessThan(of(said, "unblocked")[0]!.at);
    expect(after!.ms).toBeGreaterThan(during!.ms!);
    expect(during).not.toHaveProperty("store");
  });

  it("is reported if it is nobody's, and goes on", async () => {
    const said = await blocker("unknown");
    expect(of(said, "blocked").map(({ over }) => over)).toEqual([false, true]);
    expect(of(said, "blocked")[0]).not.toHaveProperty("who");
    expect(of(said, "unblocked")).toHaveLength(1);
    expect(of(said, "stopped")).toEqual([]);
  });
});

describe("what is no fault", () => {
  it.each([
    ["work that is shorter", "short"],
    ["a lot of garbage", "garbage"],
    ["many pieces of work in a row that give the event loop back in between", "many"],
  ])("%s is left alone", async (_sentence, kind) => {
    // The limit is far above what a machine under load makes of it.
    const said = await blocker(kind, { stallMs: 2_000 });
    expect(of(said, "stopping")).toEqual([]);
    expect(of(said, "blocked")).toEqual([]);
  });

  it("a process that was suspended has not blocked anything", async () => {
    const said = await blocker(
      "short",
      { stallMs: 1_500 },
      {
        signal(pid) {
          process.kill(pid, "SIGSTOP");
          setTimeout(() => process.kill(pid, "SIGCONT"), 4_000);
        },
      },
    );
    expect(of(said, "unblocked")[0]!.at).toBeGreaterThan(4_000);
    expect(of(said, "stopping")).toEqual([]);
  });

  it("waiting for something outside without using the CPU has three times as long", async () => {
    for (const kind of ["wait", "child"]) {
      const said = await blocker(kind, { stallMs: 1_500 });
      expect(of(said, "unblocked")).toHaveLength(1);
      expect(of(said, "stopping")).toEqual([]);
    }
  });

  it("nothing is done while a debugger can be attached", async () => {
    const said = await blocker("long", {}, { args: ["--inspect=127.0.0.1:0"] });
    expect(of(said, "unblocked")).toHaveLength(1);
    expect(of(said, "stopping")).toEqual([]);
  });
});

describe("the watch", () => {
  it("keeps no process alive", async () => {
    const script = `import { watchEventLoop } from ${JSON.stringify(new URL("./index.ts", import.meta.url).href)}; watchEventLoop({});`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "inherit" });
    const limit = setTimeout(() => child.kill("SIGKILL"), 10_000);
    expect(await once(child, "close")).toEqual([0, null]);
    clearTimeout(limit);
  });

  it("refuses a limit that it cannot keep", () => {
    for (const stallMs of [0, 499, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => watchEventLoop({ stallMs })).toThrow(
        `Invalid watchdog.stallMs ${stallMs}. Use 500 to 600000 milliseconds.`,
      );
  });
});
