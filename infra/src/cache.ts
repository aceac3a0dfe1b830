import { homedir } from "node:os";
import { join } from "node:path";

/**
 * The one folder outside the checkout that Stepstream writes to. It may be deleted at any time: all it holds can be
 * fetched again. `scripts/run.mjs` knows the same rule.
 *
 * @returns `STEPSTREAM_CACHE` if set, else the place the system gives to caches:
 *   `$XDG_CACHE_HOME` or `~/.cache` on Linux, `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on Windows.
 */
export function cacheFolder(
  env: Readonly<Record<string, string | undefined>>,
  platform: NodeJS.Platform = process.platform,
): string {
  if (env.STEPSTREAM_CACHE) return env.STEPSTREAM_CACHE;
  const home = env.HOME || homedir();
  if (platform === "win32") return join(env.LOCALAPPDATA || join(home, "AppData", "Local"), "stepstream");
  if (platform === "darwin") return join(home, "Library", "Caches", "stepstream");
  return join(env.XDG_CACHE_HOME || join(home, ".cache"), "stepstream");
}
