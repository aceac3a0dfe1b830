import { step } from "@stepstream/sdk";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { createCoordinator } from "./coordinator.ts";

const js = (value: unknown) => value as never;
const s = step("s", { input: z.any(), output: z.any() });

describe("a coordinator, from JavaScript,", () => {
  it.each<[string, () => unknown]>([
    [
      "Invalid workflow of a coordinator undefined. Use what workflow(…) returned.",
      () => createCoordinator({ workflows: [js(undefined)] }),
    ],
    [
      'Invalid workflow of a coordinator "order". Use what workflow(…) returned.',
      () => createCoordinator({ workflows: [js("order")] }),
    ],
    [
      "Invalid workflow of a coordinator (an object). Use what workflow(…) returned.",
      () => createCoordinator({ workflows: [js(s)] }),
    ],
    ["Invalid workflows of a coordinator undefined. Use an array.", () => createCoordinator(js({}))],
    ["Invalid options of a coordinator undefined. Use an object.", () => createCoordinator(js(undefined))],
  ])("refuses what is wrong where it is written: %s", (message, define) => {
    expect(define).toThrow(RangeError);
    expect(define).toThrow(message);
  });
});
