import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

describe("what a workflow file keeps at its top, or has imported before the SDK", () => {
  it.each([
    ["", []],
    [", with Temporal", ["--harmony-temporal"]],
  ])("is answered from the run or refused, and is real outside%s", async (_what, args: string[]) => {
    const { stdout } = await promisify(execFile)(process.execPath, [...args, path("../../test/captured.ts")]);
    const { seen, fault, outside } = JSON.parse(stdout);
    const answered = ["Date.now", "new Date()", "Date()", "Math.random", "performance.now", "randomUUID"];
    answered.push("performance.timeOrigin", "Intl format", "Intl formatToParts", "Temporal.Now");
    const fine = [...answered, "equal dates", "subclass of Date"];
    const expected = Object.keys(seen).map((what) => [what, fine.includes(what) ? true : "FORBIDDEN_IN_WORKFLOW"]);
    expect(seen).toEqual(Object.fromEntries(expected));
    expect(Object.keys(seen).length).toBeGreaterThan(30);
    expect(fault).toBeUndefined();
    expect(outside).toBe(true);
  });
});

describe("a rejection in code that is no workflow, beside a coordinator", () => {
  const start = `const { guardGlobals } = await import(${JSON.stringify(new URL("../index.ts", import.meta.url).href)}); guardGlobals();`;
  /** How a process ends in which a promise is rejected: its exit code, and what it says of it. */
  async function end(code: string, ...args: string[]): Promise<[number, string]> {
    try {
      const { stderr } = await promisify(execFile)(process.execPath, [...args, "--input-type=module", "-e", code]);
      return [0, stderr];
    } catch (error: any) {
      return [error.code, error.stderr];
    }
  }
  const words = (stderr: string) =>
    stderr.replace(/^.*\[eval1?\].*$|^\s+at .*$|\(node:\d+\)|file:.*$|Node\.js v.*/gm, "").replace(/\s+/g, " ");

  it.each<[string, string, string[]]>([
    ["an error", "Promise.reject(new TypeError('boom'))", []],
    ["what is no error", "Promise.reject('boom')", []],
    [
      "with a handler of last resort",
      "process.on('uncaughtException', (e, origin) => console.error(origin, e.message)); Promise.reject(new Error('boom')); await new Promise((r) => setTimeout(r, 50)); Promise.reject(new Error('again'))",
      [],
    ],
    ["with --unhandled-rejections=warn", "Promise.reject(new Error('boom'))", ["--unhandled-rejections=warn"]],
    ["with --unhandled-rejections=none", "Promise.reject(new Error('boom'))", ["--unhandled-rejections=none"]],
    ["with --unhandled-rejections=strict", "Promise.reject(new Error('boom'))", ["--unhandled-rejections", "strict"]],
    [
      "with a listener of its own",
      "process.on('unhandledRejection', (e) => console.error('mine', e.message)); Promise.reject(new Error('boom'))",
      [],
    ],
  ])("does what Node does: %s", async (_what, code, args) => {
    const keep = "setTimeout(() => {}, 100);";
    const [[withCode, withWords], [code0, words0]] = await Promise.all([
      end(`${start}\n${keep}\n${code}`, ...args),
      end(`\n${keep}\n${code}`, ...args),
    ]);
    expect([withCode, words(withWords)]).toEqual([code0, words(words0)]);
  });
});
