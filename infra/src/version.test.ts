import { describe, expect, it } from "vitest";
import { isAtLeast, parseVersion } from "./version.ts";

describe("a version", () => {
  it.each([
    ["nats-server: v2.15.1\n", "2.15.1"],
    ["nats-server: v2.12.0-RC.1", "2.12.0"],
    ["command not found", undefined],
  ])("is read from what nats-server -v prints: %j", (text, version) => expect(parseVersion(text)).toBe(version));

  it.each([
    ["2.12.0", true],
    ["2.15.1", true],
    ["3.0.0", true],
    ["2.9.99", false],
    ["1.99.99", false],
  ])("%s is at least 2.12.0: %s", (version, enough) => expect(isAtLeast(version, "2.12.0")).toBe(enough));
});
