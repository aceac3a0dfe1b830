import { pipeline, step } from "@stepstream/sdk";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { createWorker } from "./worker.ts";

const js = (value: unknown) => value as never;
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
    ["Invalid ackWaitMs 0. Use a whole number from 1 to 2073600000.", () => createWorker({ ackWaitMs: 0 })],
    ["Invalid drainMs NaN. Use a whole number from 0 to 2073600000.", () => createWorker({ drainMs: Number.NaN })],
  ])("refuses what is wrong where it is written: %s", (message, define) => {
    expect(define).toThrow(RangeError);
    expect(define).toThrow(message);
  });
});
