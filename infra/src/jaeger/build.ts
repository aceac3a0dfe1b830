import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Machine } from "../machine.ts";
import { goEnvironment } from "../sources/go.ts";
import { cachedJaeger, JAEGER_MODULE, JAEGER_VERSION, versionOfJaeger } from "./version.ts";

const VERSION_VARIABLE = "github.com/jaegertracing/jaeger/internal/version.latestVersion";

/**
 * Builds Jaeger from its Go module into the cache folder; Go's checksum database vouches for the source. Not by
 * `go install`, which refuses modules with replacements. What it lacks is the web page: that is no part of the module.
 *
 * @param timeoutMs - How long the compiler may take.
 * @returns Where it is.
 */
export async function buildJaeger(machine: Machine, timeoutMs: number, log: (line: string) => void): Promise<string> {
  const path = cachedJaeger(machine);
  mkdirSync(machine.cache, { recursive: true });
  const folder = mkdtempSync(join(machine.cache, "fetching-"));
  try {
    const env = goEnvironment(machine, folder);
    await machine.run("go", ["version"], { env });
    log(`jaeger, go build: building ${JAEGER_MODULE}, some ten minutes`);
    const downloaded = await machine.run("go", ["mod", "download", "-json", JAEGER_MODULE], {
      ...{ cwd: folder, env, timeoutMs: Math.min(timeoutMs, 300_000) },
    });
    const { Dir: source } = JSON.parse(downloaded) as { Dir: string };
    const built = join(folder, "jaeger");
    const flags = ["-trimpath", "-buildvcs=false", "-ldflags", `-s -w -X ${VERSION_VARIABLE}=v${JAEGER_VERSION}`];
    await machine.run("go", ["build", ...flags, "-o", built, "./cmd/jaeger"], {
      ...{ cwd: source, env, timeoutMs },
    });
    chmodSync(built, 0o755);
    await versionOfJaeger(machine, built);
    mkdirSync(dirname(path), { recursive: true });
    // In one step, so that several at once do no harm and a cut leaves nothing that looks whole.
    const beside = join(dirname(path), `${process.pid}-jaeger`);
    copyFileSync(built, beside);
    renameSync(beside, path);
    return path;
  } finally {
    // Compilers that have lost their go still write for a moment.
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  }
}
