import { describe, expect, it } from "vitest";
import { deepFreeze } from "./freeze.ts";

describe("what a workflow or a handler is given", () => {
  it("is frozen through and through, also inside of maps and sets", () => {
    const value = deepFreeze({ list: [{ a: 1 }], map: new Map([[{ k: 1 }, { v: [1] }]]), set: new Set([{ s: 1 }]) });
    const [[key, item]] = [...value.map] as [[object, { v: number[] }]];
    for (const part of [value, value.list, value.list[0], key, item, item.v, [...value.set][0]])
      expect(Object.isFrozen(part)).toBe(true);
  });

  it("may hold what cannot be frozen", () => {
    const bytes = new Uint8Array([1]);
    const value = deepFreeze({ bytes, at: new Date(0), buffer: Buffer.from("a"), error: new Error("x") });
    expect(value.bytes).toBe(bytes);
    expect(Object.isFrozen(value)).toBe(true);
    expect(Object.isFrozen(value.error)).toBe(false);
  });
});
