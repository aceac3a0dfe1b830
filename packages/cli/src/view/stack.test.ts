import { describe, expect, it } from "vitest";
import { framesOf, innermostFrames } from "./stack.ts";

const stack = `Error: no
    at charge (file:///home/eva/shop/src/handlers.ts:12:9)
    at async order (/home/eva/shop/src/workflows.ts:30:3)
    at /other/place/lib.js:1:2
    at Object.run (/home/eva/shop/node_modules/x/index.js:1:1)
    at process.processTicksAndRejections (node:internal/process/task_queues:105:5)
    at new Promise (<anonymous>)`;

describe("the frames of an error", () => {
  it("are those of the user's code, with file and line from where one is", () => {
    expect(framesOf({ stack }, "/home/eva/shop")).toEqual([
      "at charge (src/handlers.ts:12:9)",
      "at async order (src/workflows.ts:30:3)",
      "at /other/place/lib.js:1:2",
    ]);
  });

  it("are those of the innermost cause that has some", () => {
    const ours = "StepError: no\n    at x (/home/eva/shop/node_modules/@stepstream/coordinator/dist/x.js:1:1)";
    expect(innermostFrames({ stack: ours, cause: { stack, cause: { stack: "none" } } }, "/")[0]).toContain("charge");
  });

  it.each([undefined, null, "text", {}, { stack: 5 }, { stack: "at nowhere" }])("of %j are none", (error) =>
    expect(framesOf(error, "/")).toEqual([]),
  );

  it("move no cursor", () => {
    expect(framesOf({ stack: "E\n    at \u001b[31mx\u0007 (/a.ts:1:2)" }, "/")).toEqual(["at x (a.ts:1:2)"]);
  });
});
