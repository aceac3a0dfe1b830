/** What all commands share: help, completion, colours, errors, signals. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { wholeProgram } from "@stepstream/cli";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { noTerminal, openTerminal, type Terminal } from "../support/terminal.ts";
import { cli, holding, type Scene, setScene } from "./scene.ts";

const STEPSTREAM = fileURLToPath(new URL("../../packages/cli/bin/stepstream.cjs", import.meta.url));
const ESCAPE = "\x1b[";

type Command = Awaited<ReturnType<typeof wholeProgram>>;

let scene: Scene;
let env: Record<string, string | undefined>;
beforeAll(async () => {
  scene = await setScene();
  env = { ...process.env, NATS_URL: scene.server.url, STEPSTREAM_NAMESPACE: scene.namespace };
  for (const name of ["NO_COLOR", "FORCE_COLOR", "NATS_CONTEXT"]) delete env[name];
  await scene.client.start(holding, {}, { id: "held" });
});
afterAll(() => scene?.stop());

/** All commands, and those of commands, as one writes them. */
function commandsOf(command: Command, above: readonly string[] = []): string[][] {
  return command.commands
    .filter((one) => !one.name().startsWith("__") && one.name() !== "help")
    .flatMap((one) => [[...above, one.name()], ...commandsOf(one, [...above, one.name()])]);
}
const io = { out: { write() {} }, err: { write() {} }, env: {} } as never;
const COMMANDS = commandsOf(await wholeProgram(io)).map((words) => words.join(" "));

describe("--help", () => {
  it.each(COMMANDS)("of %s says what it does, with examples that can be parsed", async (name) => {
    const { code, out, err } = await cli(`${name} --help`, {});
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toContain(`Usage: stepstream ${name}`);
    expect(out).not.toContain(ESCAPE);
    const examples = [...out.matchAll(/^ {2}\$ (?:.*\| )?(stepstream .*)$/gm)].map(([, line]) => line!);
    expect(examples, out).not.toEqual([]);
    // Every option in them is one of the command's.
    for (const example of examples.filter((line) => line.startsWith(`stepstream ${name}`)))
      for (const [, option] of example
        .replace(/'[^']*'|"[^"]*"/g, "x")
        .split(/[|>]/)[0]!
        .matchAll(/ (--?[a-z][\w-]*)/g))
        expect(out, example).toContain(option);
  });

  it("fits the terminal that it is on", async () => {
    const { out } = await cli("start --help", {}, { columns: 80 });
    const wrapped = out.slice(0, out.indexOf("Examples:"));
    expect(Math.max(...wrapped.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  it("comes with what is wrong, and without a command at all; exit code 2", async () => {
    const bare = await cli([], {});
    expect(bare).toMatchObject({ code: 2, out: "" });
    expect(bare.err).toContain("Commands:");
    expect(await cli("help start", {})).toMatchObject({ code: 0, out: expect.stringContaining("--on-conflict") });
    expect((await cli("result", {})).err).toMatch(
      /^error: missing required argument 'run'\n.*stepstream result --help/s,
    );
    expect((await cli("--version", {})).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe("an error", () => {
  it("has its stack trace only if that is asked for", async () => {
    const plain = await scene.run("result nobody");
    expect(plain.err).toBe(`error: There is no run nobody in namespace "${scene.namespace}".\n`);
    const long = await scene.run("result nobody --stack");
    expect(long.code).toBe(3);
    expect(long.err).toMatch(/^error: There is no run nobody.*\nRunNotFoundError: .*\n +at /);
  });
});

describe("colours", () => {
  it("are there on a terminal, and not in a pipe, nor where nobody wants them", async () => {
    const coloured = async (args: string, more: Parameters<Scene["run"]>[1] = {}) => {
      const { out, err } = await scene.run(args, more);
      return [out, err].map((text) => text.includes(ESCAPE));
    };
    expect(await coloured("result nobody")).toEqual([false, false]);
    expect(await coloured("show held")).toEqual([false, false]);
    expect(await coloured("result nobody", { columns: 80 })).toEqual([false, true]);
    expect(await coloured("show held", { columns: 80 })).toEqual([true, false]);
    expect(await coloured("show held", { env: { FORCE_COLOR: "1" } })).toEqual([true, false]);
    for (const surroundings of [{ NO_COLOR: "1" }, { TERM: "dumb" }, { FORCE_COLOR: "0" }])
      expect(await coloured("show held", { columns: 80, env: surroundings as never })).toEqual([false, false]);
    expect(await coloured("show held --no-color", { columns: 80 })).toEqual([false, false]);
  });
});

describe("the process", () => {
  const start = (...args: string[]) => {
    const child = spawn(process.execPath, [STEPSTREAM, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
    return { child, exited: once(child, "exit") };
  };

  it("ends with the command's exit code, and has no colours in a pipe", async () => {
    const ran = promisify(execFile)(process.execPath, [STEPSTREAM, "result", "nobody"], { env: env as never });
    await expect(ran).rejects.toMatchObject({
      code: 3,
      stdout: "",
      stderr: expect.stringMatching(/^using nats:.*\nerror: There is no/),
    });
  });

  it.skipIf(process.platform === "win32")("ends with 130 on the first Ctrl-C", async () => {
    const { child, exited } = start("history", "held", "--follow");
    // Leaving a loop over the stream would close it, and the command ends well when nobody reads on.
    await new Promise<void>((resolve) => {
      let said = "";
      child.stdout.setEncoding("utf8").on("data", (text) => {
        said += text;
        if (said.includes("RunStarted")) resolve();
      });
    });
    child.kill("SIGINT");
    expect(await exited).toEqual([130, null]);
  });

  /** Commands that wait, each for something that does not come; they have written when they wait. */
  const WAITING = [
    ["queue", "--watch"],
    ["watch", "held"],
    ["result", "held"],
    ["start", "holding", "--wait"],
    ["query", "held", "nothing", "--timeout", "1m"],
    ["update", "held", "nothing", "--timeout", "1m"],
    ["cancel", "held-too", "--wait"],
    ["schedule", "show", "nothing-of-that-name", "--timeout", "1m"],
    ["signal", "held", "x", "-"],
  ];
  it.skipIf(process.platform === "win32").each(WAITING)("ends %s %s with 130 on Ctrl-C", async (...args) => {
    const child = spawn(process.execPath, [STEPSTREAM, ...args], { env, stdio: ["pipe", "pipe", "pipe"] });
    child.stdout.resume();
    const exited = once(child, "exit");
    await new Promise<void>((resolve) => {
      let said = "";
      child.stderr.setEncoding("utf8").on("data", (text) => {
        said += text;
        if (said.includes("using nats:")) resolve();
      });
    });
    child.kill("SIGINT");
    expect(await exited).toEqual([130, null]);
  });

  it.skipIf(process.platform === "win32")("ends with 0 soon after nobody reads on", async () => {
    const shell = (line: string) =>
      promisify(execFile)(
        "bash",
        ["-c", `set -o pipefail; ${line.replaceAll("stepstream", '"$0" "$1"')}`, process.execPath, STEPSTREAM],
        {
          env: env as never,
          timeout: 10_000,
        },
      );
    expect((await shell("stepstream queue --watch | head -1")).stdout).toMatch(/^STEP +WAITING/);
    expect((await shell("stepstream queue --watch --json | head -1")).stdout).toMatch(/^\{"step":/);
    // These write nothing more: the run waits.
    expect((await shell("stepstream history held --follow | head -1")).stdout).toMatch(/^ +SEQ/);
    expect((await shell("stepstream watch held | head -1")).stdout).not.toBe("");
    for (const waits of ["result held", "start holding --wait"])
      expect((await shell(`stepstream ${waits} | true`)).stdout, waits).toBe("");
  });

  it("does not mind that nobody reads on", async () => {
    const { child, exited } = start("history", "held", "--follow", "--json");
    const complaint = child.stderr.setEncoding("utf8").toArray();
    await once(child.stdout, "data");
    child.stdout.destroy();
    // What comes now is written to nobody.
    scene.release();
    expect(await exited).toEqual([0, null]);
    expect((await complaint).join("")).toBe("");
  });
});

describe.skipIf(noTerminal)("completion", () => {
  let folder: string;
  let terminal: Terminal | undefined;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "stepstream-completion-"));
    const shim = join(folder, "stepstream");
    await writeFile(shim, `#!/bin/sh\nexec "${process.execPath}" "${STEPSTREAM}" "$@"\n`);
    await chmod(shim, 0o755);
    await writeFile(join(folder, "order-of-eva.json"), "{}");
  });
  afterEach(async () => {
    // A shell that somebody sits at does not mind that its window is closed.
    terminal?.type("\x15exit\n");
    await terminal?.exited;
    terminal = undefined;
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const shells = [
    ["bash", ["--norc", "--noprofile", "-i"], 'PS1="> "; source <(stepstream completion bash)'],
    ["zsh", ["-f", "-i"], 'PS1="> "; autoload -U compinit; compinit -D -u; source <(stepstream completion zsh)'],
    ["fish", ["--no-config", "-i"], "function fish_prompt; echo '> '; end; stepstream completion fish | source"],
  ] as const;

  for (const [shell, args, setup] of shells)
    it(`in ${shell} knows commands, options, choices and files`, { timeout: 120_000 }, async ({ skip }) => {
      const there = await promisify(execFile)(shell, ["--version"]).catch(() => undefined);
      if (!there) {
        console.error(`!!! completion in ${shell} is NOT tried: there is no ${shell}.`);
        return skip();
      }
      terminal = openTerminal(shell, args, {
        cwd: folder,
        env: { ...env, HOME: folder, PATH: [folder, dirname(process.execPath), env.PATH].join(delimiter) },
      });
      /** Types it, and Tab, and an X, which shows where the cursor is then. */
      const line = async (typed: string, shown: string) => {
        terminal!.type(`\x15${typed}\tX`);
        await terminal!.until(`${shown} X`);
      };
      terminal.type(`${setup}; echo set''up\n`);
      await terminal.until(/^setup$/m);
      await line("stepstream sched", "stepstream schedule");
      await line("stepstream schedule trig", "stepstream schedule trigger");
      await line("stepstream result --no-wa", "stepstream result --no-wait");
      await line("stepstream start order --on-conflict att", "--on-conflict attach");
      await line("stepstream --names", "stepstream --namespace");
      await line("stepstream -n shop termin", "stepstream -n shop terminate");
      await line("stepstream replay --file order-of", "--file order-of-eva.json");
      terminal.type("\x15");
      terminal.type("stepstream start order --on-conflict \t\t");
      await terminal.until(/^(?=.*\battach\b)(?=.*\breject\b)(?=.*\bterminate\b)(?!.*--)/m);
    });
});
