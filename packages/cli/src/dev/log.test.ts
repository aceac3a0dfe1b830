import { describe, expect, it } from "vitest";
import { readable } from "./log.ts";

describe("a line that a process printed", () => {
  it.each([
    ["as it is", "worker dev is ready", { text: "worker dev is ready" }],
    [
      "a structured one as its message and its fields",
      '{"level":30,"time":1,"pid":7,"msg":"done","run":"r"}',
      { text: "done run=r" },
    ],
    ["a warning in yellow", '{"level":40,"msg":"again","why":"a b"}', { text: 'again why="a b"', style: "yellow" }],
    ["an error in red", '{"level":50,"msg":"failed"}', { text: "failed", style: "red" }],
    [
      "an error as its message",
      '{"level":50,"msg":"no","err":{"type":"TypeError","message":"odd","stack":"TypeError: odd\\n at x"}}',
      { text: 'no err="TypeError: odd"', style: "red" },
    ],
    [
      "a worker's own line once",
      '{"level":40,"event":"retrying","run":"r","step":"s","slot":1,"err":{"message":"odd"},"msg":"s failed: odd"}',
      { text: "s failed: odd run=r slot=1", style: "yellow" },
    ],
    [
      "a handler's error with where it comes from",
      '{"level":50,"event":"failed","msg":"s failed: odd","err":{"message":"odd","stack":"Error: odd\\n    at pay (/shop/src/pay.ts:3:9)\\n    at node:internal/x:1:1"}}',
      { text: "s failed: odd\n    at pay (src/pay.ts:3:9)", style: "red" },
    ],
    ["JSON that is no log line", '{"level":"high"}', { text: '{"level":"high"}' }],
    ["what only begins like JSON", "{ a: 1 }", { text: "{ a: 1 }" }],
  ])("is shown: %s", (_, line, shown) => expect(readable(line, "/shop")).toEqual(shown));
});
