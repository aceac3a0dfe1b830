import { expect, it } from "vitest";
import { inBoth } from "./stranded.ts";

it("a command is stranded if the same message is found twice, not if it was about to be acknowledged", () => {
  const first = new Map([
    ["a", 4],
    ["b", 5],
    ["c", 6],
  ]);
  const second = new Map([
    ["b", 5],
    ["c", 9],
    ["d", 7],
  ]);
  expect(inBoth(first, second)).toEqual(["b"]);
});
