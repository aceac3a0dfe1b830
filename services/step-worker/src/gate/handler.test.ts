import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ValidationError } from "@stepstream/contracts";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { type GateOptions, gateHandler } from "./handler.ts";
import { processes } from "./processes.ts";

type Context = Parameters<ReturnType<typeof gateHandler>>[1];

function run(command: string, more: object = {}, options?: GateOptions, signal = new AbortController().signal) {
  const input = { gate: "g", level: 1, command, timeoutMs: 20_000, ...more };
  return gateHandler(options)(input, { signal } as Context);
}

describe.skipIf(process.platform === "win32")("a gate", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "gate-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("keeps the last 64 KiB of what was printed", async () => {
    const print = (stream: string) =>
      `for (let i = 0; i < 20000; i++) process.${stream}.write(\`\${i}: twenty-two characters\\n\`)`;
    const printed = await run(`${process.execPath} -e '${print("stdout")};${print("stderr")}'`);
    for (const text of [printed.stdout, printed.stderr]) {
      expect(text).toHaveLength(64 * 1024);
      expect(text).toMatch(/\n19999: twenty-two characters\n$/);
    }
  });

  it.each(["yes", "yes >&2", "trap '' TERM PIPE; while true; do yes; done"])(
    "is killed when it prints without end: %s",
    async (command) => {
      const error = await run(command).catch((thrown: ValidationError) => thrown);
      expect(error).toBeInstanceOf(ValidationError);
      expect(error).toMatchObject({
        message: expect.stringContaining("it printed more than 100 MB"),
        exitCode: undefined,
      });
      const { stdout, stderr } = error as ValidationError;
      expect(stdout.length + stderr.length).toBe(64 * 1024);
    },
  );

  /** Ways out of the process group. Each writes the number of what got out. */
  const escapes: [string, (pids: string) => string][] = [
    ["a session of its own", (pids) => `setsid sh -c 'echo $$ >> ${pids}; sleep 600' & wait`],
    ["a daemon, whose parent has gone", (pids) => `(setsid sh -c 'echo $$ >> ${pids}; sleep 600' &) ; sleep 600`],
    ["a session without our variables", (pids) => `env -i setsid sh -c 'echo $$ >> ${pids}; sleep 600' & wait`],
    ["a session that ignores SIGTERM", (pids) => `setsid sh -c 'trap "" TERM; echo $$ >> ${pids}; sleep 600' & wait`],
    ["one of its children", (pids) => `setsid sh -c 'setsid sh -c "echo \\$\\$ >> ${pids}; sleep 600" & wait' & wait`],
    [
      "one that lets go of its output",
      (pids) => `setsid sh -c 'echo $$ >> ${pids}; exec sleep 600' >/dev/null 2>&1 & wait`,
    ],
  ];
  it.each(escapes)("kills what has left its process group: %s", async (_how, command) => {
    const pids = join(folder, `pids-${Math.random()}`);
    const aborted = new AbortController();
    const running = run(command(pids), {}, undefined, aborted.signal);
    running.catch(() => {});
    const escaped = await vi.waitUntil(() => numbersIn(pids)[0], { timeout: 10_000 });
    expect(isRunning(escaped)).toBe(true);
    aborted.abort(new Error("enough"));
    await expect(running).rejects.toThrow("enough");
    await vi.waitUntil(() => !isRunning(escaped), { timeout: 5_000 });
  });

  it("kills nothing else, and leaves alone what a gate that has passed leaves behind", async () => {
    const pids = join(folder, "left");
    await run(`setsid sh -c 'echo $$ >> ${pids}; exec sleep 600' >/dev/null 2>&1 & sleep 0.2`);
    const [left] = await vi.waitUntil(() => numbersIn(pids), { timeout: 10_000 });
    await expect(run("sleep 600", { timeoutMs: 50 })).rejects.toThrow("killed after 50 ms");
    expect(isRunning(left!)).toBe(true);
    process.kill(left!, "SIGKILL");
  });

  describe("and its environment", () => {
    beforeEach(() => {
      vi.stubEnv("NATS_PASSWORD", "secret");
      vi.stubEnv("NPM_TOKEN", "token");
      vi.stubEnv("OTHER_TOKEN", "other");
      vi.stubEnv("LC_TIME", "C");
    });
    afterEach(() => void vi.unstubAllEnvs());
    const variables = async (more?: object, options?: GateOptions) => {
      const { stdout } = await run("env", more, options);
      return Object.fromEntries(stdout.split("\n").map((line) => line.split(/=(.*)/s, 2)));
    };

    it("gets no variables but those that programs need and those that are named", async () => {
      const plain = await variables();
      expect(plain).toMatchObject({ PATH: process.env.PATH, LC_TIME: "C" });
      expect(plain).not.toHaveProperty("NATS_PASSWORD");
      expect(plain).not.toHaveProperty("NPM_TOKEN");
      const named = await variables(
        { passEnv: ["NPM_TOKEN", "NOT_THERE"], env: { A: "1", B: "1" } },
        {
          passEnv: ["OTHER_TOKEN"],
          env: { A: "0", C: "0" },
        },
      );
      expect(named).toMatchObject({ NPM_TOKEN: "token", OTHER_TOKEN: "other", A: "1", B: "1", C: "0" });
      expect(named).not.toHaveProperty("NATS_PASSWORD");
      expect(named).not.toHaveProperty("NOT_THERE");
    });
  });

  it.each([
    ["of the gate", { cwd: "/nowhere/at-all" }, undefined, "/nowhere/at-all"],
    ["of the worker", {}, { cwd: "/nowhere/too" }, "/nowhere/too"],
    ["that is a file", { cwd: process.execPath }, undefined, process.execPath],
  ])("names a working directory that is not there: %s", async (_whose, more, options, where) => {
    const message = expect.stringContaining(`its working directory ${where} is not there, or is not a directory`);
    await expect(run("true", more, options)).rejects.toMatchObject({ code: "VALIDATION_FAILED", message });
  });
});

function numbersIn(file: string): number[] {
  try {
    return readFileSync(file, "utf8").split("\n").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Not a zombie, which only waits for its parent. */
function isRunning(pid: number): boolean {
  if (!processes().some((one) => one.pid === pid)) return false;
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return true;
  }
}
