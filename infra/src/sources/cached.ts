import { existsSync } from "node:fs";
import type { Source } from "../find.ts";
import { cachedBinary, versionOf } from "./binary.ts";

/** What an earlier search fetched. */
export const cached: Source = {
  name: "cache",
  async find(machine) {
    const path = cachedBinary(machine);
    if (!existsSync(path)) throw new Error(`nothing in ${path} yet`);
    return { kind: "binary", path, version: await versionOf(machine, path), source: "cache" };
  },
};
