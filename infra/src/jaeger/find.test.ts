import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Machine } from "../machine.ts";
import { findJaeger, JaegerNotFoundError } from "./find.ts";
import { cachedJaeger } from "./version.ts";

let cache: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "stepstream-jaeger-"));
});
afterEach(() => rmSync(cache, { recursive: true, force: true }));

const V2 = '{\n  "gitCommit": "abc",\n  "gitVersion": "v2.15.0"\n}';

/** A computer with these commands: what each prints, by its arguments. Whatever is in the cache is a Jaeger. */
function machine(commands: Record<string, (args: readonly string[]) => string>): Machine {
  return {
    ...{ platform: "linux", arch: "x64", env: {}, cache },
    async run(command, args) {
      if (command.startsWith(cache)) return '{"gitVersion":"v2.13.0"}';
      if (!commands[command]) throw new Error(`${command} is not installed`);
      return commands[command](args);
    },
    download: async () => {
      throw new Error("there is no web");
    },
  };
}

/** A Go that builds, into wherever it is told to. */
const go = (args: readonly string[]) => {
  if (args[0] === "mod") return JSON.stringify({ Dir: cache });
  if (args[0] === "build") writeFileSync(args[args.indexOf("-o") + 1]!, "a jaeger");
  return "";
};

describe("Jaeger is taken", () => {
  it("from the PATH first", async () => {
    const found = await findJaeger({ machine: machine({ jaeger: () => V2 }) });
    expect(found).toEqual({ path: "jaeger", version: "v2.15.0", source: "PATH" });
  });

  it("from the cache next", async () => {
    const old = machine({ jaeger: () => '{"gitVersion":"v1.62.0"}' });
    const path = cachedJaeger(old);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, "a jaeger");
    expect(await findJaeger({ machine: old })).toEqual({ path, version: "v2.13.0", source: "cache" });
  });

  it("from Go if that is asked for, and from the cache from then on; nothing else is left behind", async () => {
    const log: string[] = [];
    const built = await findJaeger({ machine: machine({ go }), build: true, log: (line) => log.push(line) });
    expect(built).toMatchObject({ path: cachedJaeger(machine({})), source: "go build" });
    expect(log).toHaveLength(1);
    expect(readdirSync(cache)).toEqual(["jaeger"]);
    expect(await findJaeger({ machine: machine({}) })).toMatchObject({ source: "cache" });
  });
});

describe("without a Jaeger", () => {
  it("nothing is built unasked, and the error says what to do", async () => {
    const error = await findJaeger({ machine: machine({ go }) }).catch((e) => e);
    expect(error).toBeInstanceOf(JaegerNotFoundError);
    expect(error.message).toMatch(/PATH: jaeger is not installed\n.*cache: nothing in .* yet\n.*download/s);
    expect(existsSync(join(cache, "jaeger"))).toBe(false);
  });

  it("a build that fails says why, and leaves nothing", async () => {
    const fails = () => {
      throw new Error("go build exited with 1: no space left");
    };
    const broken = machine({ go: (args) => (args[0] === "build" ? fails() : go(args)) });
    const error = await findJaeger({ machine: broken, build: true }).catch((e) => e);
    expect(error.failures[2]).toBe("go build: go build exited with 1: no space left");
    expect(readdirSync(cache)).toEqual([]);
  });
});
