import { Readable } from "node:stream";
import { encodeValue } from "@stepstream/contracts";
import { describe, expect, it } from "vitest";
import type { Io } from "./io.ts";
import { compact, pretty, readable, readJson } from "./json.ts";

const io = { in: Readable.from([]), cwd: "/" } as unknown as Io;
const values = {
  at: new Date("2026-11-26T00:00:00.000Z"),
  n: 12n,
  rates: new Map([["eur", Number.NaN]]),
  tags: new Set(["a"]),
  file: new Uint8Array([1, 2, 3]),
  $type: "mine",
};

describe("values that JSON has no form for", () => {
  it("are printed as they travel, and read back the same", async () => {
    expect(await readJson("--input", pretty(values), io)).toEqual(values);
    expect(await readJson("--input", compact(values), io)).toEqual(values);
    expect(await readJson("--input", '{"at":{"$type":"Date","value":"2026-11-26"}}', io)).toEqual({
      at: new Date("2026-11-26T00:00:00.000Z"),
    });
  });

  it("are refused with their path where they are not what they say", () =>
    expect(readJson("--input", '{"at":{"$type":"Date","value":"soon"}}', io)).rejects.toThrow(
      '--input given is not valid at at: its "$type" is "Date", but its value is not one.',
    ));

  it("are short and plain for people", () => {
    expect(readable(encodeValue(values))).toEqual({
      at: "2026-11-26T00:00:00.000Z",
      n: "12n",
      rates: [["eur", "NaN"]],
      tags: ["a"],
      file: "(3 bytes)",
      $type: "mine",
    });
    expect(readable({ $type: "Date", value: "soon" })).toEqual({ $type: "Date", value: "soon" });
    expect(readable(undefined)).toBeUndefined();
  });
});
