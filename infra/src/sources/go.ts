import { homedir } from "node:os";
import { join } from "node:path";
import type { Source } from "../find.ts";
import type { Machine } from "../machine.ts";
import { NATS_VERSION } from "../version.ts";
import { executable, intoCache } from "./binary.ts";

const PACKAGE = `github.com/nats-io/nats-server/v2@v${NATS_VERSION}`;

/**
 * Built from source by Go, whose checksum database vouches for the source.
 *
 * Go's folders (modules, a newer toolchain where needed, build results) are temporary: only the binary is kept. It is
 * built without libc, so it runs in an empty container too.
 */
export const go: Source = {
  name: "go install",
  async find(machine, announce) {
    return intoCache(machine, "go install", async (folder) => {
      const env = goEnvironment(machine, folder);
      await machine.run("go", ["version"], { env });
      announce(`building ${PACKAGE}, about a minute`);
      await machine.run("go", ["install", "-trimpath", PACKAGE], {
        cwd: folder,
        timeoutMs: 600_000,
        env: { ...env, GOBIN: join(folder, "bin") },
      });
      return join(folder, "bin", executable(machine.platform));
    });
  },
};

/** Go's folders in a temporary one, and no libc. */
export function goEnvironment(machine: Machine, folder: string): Record<string, string> {
  return {
    ...withoutTelemetryFiles(machine, folder),
    GOPATH: join(folder, "go"),
    GOMODCACHE: join(folder, "go", "mod"),
    GOCACHE: join(folder, "go", "build"),
    GOTMPDIR: folder,
    GOTOOLCHAIN: "auto",
    GOFLAGS: "-modcacherw", // so that the folder can be removed
    CGO_ENABLED: "0",
  };
}

/** Go counts its uses in the user's config folder, even when asked not to send them; its settings are read from there. */
function withoutTelemetryFiles({ platform, env }: Machine, folder: string): Record<string, string> {
  if (platform !== "linux") return {};
  const config = env.XDG_CONFIG_HOME || join(env.HOME || homedir(), ".config");
  return { XDG_CONFIG_HOME: join(folder, "config"), GOENV: env.GOENV || join(config, "go", "env") };
}
