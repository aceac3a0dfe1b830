import { describe, expect, it } from "vitest";
import { logEvents, type Told, words } from "./events.ts";
import { asLogger, createLog, type LogOptions } from "./log.ts";

type Happened =
  | { type: "begun"; run: string }
  | { type: "broke"; run: string; error: unknown; trace?: { trace_id: string } };

const told: Told<Happened> = {
  begun: ["debug", ({ run }) => `${run} has begun`],
  broke: ["error", ({ run }) => `${run} broke`],
};

async function logTo(lines: string[], more: Partial<LogOptions> = {}) {
  const out = { write: (line: string) => void lines.push(line) };
  return createLog({ name: "test", namespace: "dev", level: "info", format: "json", out, ...more });
}

describe("an event", () => {
  it("is a line with its fields, the stack of its error and the ids of its trace", async () => {
    const lines: string[] = [];
    const error = Object.assign(new RangeError("too far", { cause: new Error("no map") }), { code: "FAR" });
    logEvents(await logTo(lines), told)({ type: "broke", run: "r", error, trace: { trace_id: "a" } });
    expect(lines).toHaveLength(1);
    const line = JSON.parse(lines[0]!);
    expect(line).toMatchObject({
      level: 50,
      namespace: "dev",
      event: "broke",
      run: "r",
      trace_id: "a",
      msg: "r broke",
    });
    expect(line.err).toMatchObject({ type: "RangeError", code: "FAR", stack: expect.stringContaining("no map") });
    expect(line).not.toHaveProperty("trace");
  });

  it("that is not loud enough is not put into words", async () => {
    const lines: string[] = [];
    const never: Told<Happened> = { ...told, begun: ["debug", () => expect.fail("was put into words")] };
    logEvents(await logTo(lines), never)({ type: "begun", run: "r" });
    expect(lines).toEqual([]);
  });

  it("is logged even if its error cannot be read", async () => {
    const lines: string[] = [];
    const error = Object.defineProperty(new Error("x"), "message", {
      get() {
        throw new Error("do not look");
      },
    });
    const aloud: Told<Happened> = { ...told, broke: ["error", (event) => `it broke: ${words(event.error)}`] };
    logEvents(await logTo(lines), aloud)({ type: "broke", run: "r", error });
    expect(JSON.parse(lines[0]!)).toMatchObject({ event: "broke", msg: expect.stringContaining("cannot be read") });
  });

  it("keeps an error that is none", async () => {
    const lines: string[] = [];
    logEvents(await logTo(lines), told)({ type: "broke", run: "r", error: "out of paper" });
    expect(JSON.parse(lines[0]!)).toMatchObject({ err: "out of paper" });
  });
});

describe("a worker's logger", () => {
  it("takes the message first, and errors among the fields", async () => {
    const lines: string[] = [];
    const logger = asLogger(await logTo(lines, { level: "debug" }));
    logger.debug("looked");
    logger.warn("hm", { error: new Error("odd"), n: 1n });
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: 20, msg: "looked" },
      { level: 40, msg: "hm", error: { message: "odd" }, n: 1 },
    ]);
  });

  it("for people, is a line with time, level and fields, and no colours where there are none to see", async () => {
    const lines: string[] = [];
    const { PassThrough } = await import("node:stream");
    const out = new PassThrough().setEncoding("utf8");
    asLogger(await logTo([], { format: "pretty", out })).info("done", { run: "r", n: 2 });
    for await (const line of out) {
      lines.push(line);
      break;
    }
    expect(lines[0]).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: done \{"run":"r","n":2\}\n$/);
  });
});
