import { pipeline, step } from "@stepstream/sdk";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { createWorker } from "./worker.ts";

const js = (value: unknown) => value as never;
const given = (options: object) => () => createWorker(js(options));
const s = step("s", { input: z.any(), output: z.any() });
const flow = pipeline("p", { input: z.any(), output: z.any() }).step("s", s).build();

describe("a worker, from JavaScript,", () => {
  it.each<[string, () => unknown]>([
    [
      'Invalid step of handle() "s". Use what step(…) returned.',
      () =>
        createWorker({}).handle(
          js("s"),
          js(() => 1),
        ),
    ],
    [
      "Invalid step of handle() undefined. Use what step(…) returned.",
      () => createWorker({}).handle(js(undefined), js(1)),
    ],
    [
      "Invalid step of handle() (an object). Use what step(…) returned.",
      () => createWorker({}).handle(js(flow), js(1)),
    ],
    ['Invalid handler of step "s" undefined. Use a function.', () => createWorker({}).handle(s, js(undefined))],
    ["Invalid options of a worker undefined. Use an object.", () => createWorker(js(undefined))],
    [
      "Invalid third argument of handle() (an object). Use the options of step(…).",
      () => (createWorker({}).handle as (...args: unknown[]) => unknown)(s, () => 1, { concurrency: 5 }),
    ],
    ['Invalid option "dir" of gates(). Use "cwd", "env", "passEnv".', () => createWorker({}).gates(js({ dir: "." }))],
    ["Invalid watchdog 5. Use false or { stallMs }.", given({ watchdog: 5 })],
    ["Invalid watchdog.stallMs 5. Use 500 to 600000 milliseconds.", given({ watchdog: { stallMs: 5 } })],
    ["Invalid onEvent (an object). Use a function.", given({ onEvent: {} })],
    ["Invalid logger 5. Use an object.", given({ logger: 5 })],
    ["Invalid telemetry 5. Use an object.", given({ telemetry: 5 })],
    ["Invalid name 5. Use a string of at most 4000 characters.", given({ name: 5 })],
    ['Invalid namespace "a b". Use 1 to 32 of A-Z a-z 0-9 _ -.', given({ namespace: "a b" })],
    [' Did you mean "drainMs"?', given({ drainMS: 5 })],
    ['Invalid option "concurrency" of a worker. Use "nats", "namespace", ', given({ concurrency: 5 })],
    ["Invalid ackWaitMs 0. Use a whole number from 1 to 2073600000.", () => createWorker({ ackWaitMs: 0 })],
    ["Invalid drainMs NaN. Use a whole number from 0 to 2073600000.", () => createWorker({ drainMs: Number.NaN })],
  ])("refuses what is wrong where it is written: %s", (message, define) => {
    expect(define).toThrow(RangeError);
    expect(define).toThrow(message);
  });
});
