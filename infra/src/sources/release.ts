import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Source } from "../find.ts";
import type { Machine } from "../machine.ts";
import { NATS_VERSION } from "../version.ts";
import { executable, intoCache } from "./binary.ts";
import pins from "./release-pins.json" with { type: "json" };

const RELEASES = "https://github.com/nats-io/nats-server/releases/download";

/** Node's words for processors, in the words of the release. */
const ARCHITECTURES: Record<string, string> = { x64: "amd64", arm64: "arm64" };
const SYSTEMS: Partial<Record<NodeJS.Platform, string>> = { linux: "linux", darwin: "darwin", win32: "windows" };

/**
 * The official archive of the release.
 *
 * It is checked against the SHA-256 in `release-pins.json`. An archive that has no pin there is checked against the
 * SHA256SUMS file of the same release, which guards against a broken download but not against a release that was
 * tampered with.
 */
export const release: Source = {
  name: "release archive",
  async find(machine, announce) {
    const name = archiveName(machine);
    announce(`fetching ${name} from github.com`);
    const archive = await machine.download(`${RELEASES}/v${NATS_VERSION}/${name}`);
    const wanted = pinned(name) ?? sumFor(name, await machine.download(`${RELEASES}/v${NATS_VERSION}/SHA256SUMS`));
    const actual = createHash("sha256").update(archive).digest("hex");
    if (actual !== wanted) throw new Error(`${name} has SHA-256 ${actual}, not ${wanted}: it was thrown away`);
    return intoCache(machine, "release archive", async (folder) => {
      writeFileSync(join(folder, name), archive);
      await machine.run(tar(machine), ["-xf", name], { cwd: folder, timeoutMs: 60_000 });
      return join(folder, name.replace(/\.(tar\.gz|zip)$/, ""), executable(machine.platform));
    });
  },
};

/** @throws {Error} If there is no archive for this system and processor. */
function archiveName({ platform, arch }: Pick<Machine, "platform" | "arch">): string {
  const system = SYSTEMS[platform];
  const processor = ARCHITECTURES[arch];
  if (!system || !processor) throw new Error(`no archive for ${platform} on ${arch}`);
  return `nats-server-v${NATS_VERSION}-${system}-${processor}.${system === "windows" ? "zip" : "tar.gz"}`;
}

/** On Windows that of the system, which reads zip as well; another may come first on the path. */
function tar({ platform, env }: Machine): string {
  return platform === "win32" ? join(env.SystemRoot ?? "C:\\Windows", "System32", "tar.exe") : "tar";
}

function pinned(name: string): string | undefined {
  return (pins.sha256 as Record<string, string>)[name];
}

/** Reads one line of `sha256sum`'s output. @throws {Error} If the file is not named there. */
function sumFor(name: string, sums: Uint8Array): string {
  for (const line of new TextDecoder().decode(sums).split("\n")) {
    const [sum, file] = line.trim().split(/\s+\*?/);
    if (file === name && sum) return sum.toLowerCase();
  }
  throw new Error(`SHA256SUMS does not name ${name}`);
}
