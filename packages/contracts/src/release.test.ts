import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { RELEASE } from "./release.ts";

it("the release that processes report is the version of the packages", () => {
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  expect(RELEASE).toBe(version);
});
