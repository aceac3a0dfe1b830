import { describe, expect, it } from "vitest";
import { sameValue } from "./same-value.ts";

const at = new Date(5);
describe("values are the same as their recipient sees them", () => {
  it.each<[string, unknown, unknown]>([
    ["NaN", Number.NaN, Number.NaN],
    ["dates", at, new Date(5)],
    ["maps of sets", new Map([["a", new Set([1n])]]), new Map([["a", new Set([1n])]])],
    ["bytes", new Uint8Array([1, 2]), new Uint8Array([1, 2])],
    ["keys that are undefined", { a: 1, b: undefined }, { a: 1 }],
    ["undefined in a list", [undefined], [undefined]],
    ["an object without a prototype", Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    ["errors with one message", new Error("a"), new TypeError("a")],
  ])("%s", (_what, one, other) => expect(sameValue(one, other)).toBe(true));
});

describe("values differ", () => {
  it.each<[string, unknown, unknown]>([
    ["0 and -0", 0, -0],
    ["a date and its text", at, at.toISOString()],
    ["two dates", at, new Date(6)],
    ["1 and 1n", 1, 1n],
    ["a map and an object", new Map([["a", 1]]), { a: 1 }],
    [
      "maps in another order",
      new Map([
        ["a", 1],
        ["b", 2],
      ]),
      new Map([
        ["b", 2],
        ["a", 1],
      ]),
    ],
    ["sets of different sizes", new Set([1]), new Set([1, 2])],
    ["bytes and a buffer", new Uint8Array([1]), Buffer.from([1])],
    ["bytes", new Uint8Array([1, 2]), new Uint8Array([1, 3])],
    ["undefined and nothing in a list", [undefined], []],
    ["undefined and null", { a: undefined }, { a: null }],
    ["errors", new Error("a"), new Error("b")],
    ["an error and an object", new Error("a"), { message: "a" }],
  ])("%s", (_what, one, other) => expect(sameValue(one, other)).toBe(false));
});
