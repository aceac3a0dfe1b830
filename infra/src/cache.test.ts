import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { cacheFolder } from "./cache.ts";

describe("the cache folder", () => {
  it.each([
    ["is what STEPSTREAM_CACHE says", { STEPSTREAM_CACHE: "/c", XDG_CACHE_HOME: "/x", HOME: "/h" }, "linux", "/c"],
    ["else is in XDG_CACHE_HOME on Linux", { XDG_CACHE_HOME: "/x", HOME: "/h" }, "linux", join("/x", "stepstream")],
    ["else is in ~/.cache", { HOME: "/h" }, "linux", join("/h", ".cache", "stepstream")],
    ["is in ~/Library/Caches on macOS", { HOME: "/h" }, "darwin", join("/h", "Library", "Caches", "stepstream")],
    ["is in LOCALAPPDATA on Windows", { LOCALAPPDATA: "/l" }, "win32", join("/l", "stepstream")],
  ] as const)("%s", (_sentence, env, platform, folder) => expect(cacheFolder(env, platform)).toBe(folder));
});
