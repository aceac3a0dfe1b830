import { createHash } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { Source } from "../find.ts";
import type { Machine } from "../machine.ts";
import { isAtLeast, NATS_VERSION_MIN } from "../version.ts";
import { intoCache } from "./binary.ts";

const MIRROR = "https://deb.debian.org/debian";
/** The suite whose nats-server is new enough. Its package runs on older ones: it needs no more than libc 2.34. */
const SUITE = "forky";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const ARCHITECTURES: Record<string, string> = { x64: "amd64", arm64: "arm64" };

/**
 * The package of a newer Debian, unpacked and not installed.
 *
 * Each file is checked by the one before it: InRelease names the SHA-256 of the index, the index that of the package.
 * InRelease itself comes over https, and its signature is checked where the machine has gpgv and Debian's keys.
 */
export const debian: Source = {
  name: "Debian package",
  async find(machine, announce) {
    const arch = ARCHITECTURES[machine.arch];
    if (machine.platform !== "linux" || !arch) throw new Error("only for Linux on x64 and arm64");
    await machine.run("dpkg-deb", ["--version"]);
    announce(`fetching Debian ${SUITE}'s from deb.debian.org, to unpack and not to install`);
    return intoCache(machine, "Debian package", async (folder) => {
      const inRelease = await machine.download(`${MIRROR}/dists/${SUITE}/InRelease`);
      await checkSignature(machine, join(folder, "InRelease"), inRelease);
      const indexPath = `main/binary-${arch}/Packages.gz`;
      const index = await machine.download(`${MIRROR}/dists/${SUITE}/${indexPath}`);
      checkSum(indexPath, index, indexSum(text(inRelease), indexPath));

      const entry = packageEntry(text(gunzipSync(index)), "nats-server");
      if (!isAtLeast(entry.version, NATS_VERSION_MIN)) throw new Error(`${SUITE} has ${entry.version} only`);
      const deb = await machine.download(`${MIRROR}/${entry.path}`);
      checkSum(entry.path, deb, entry.sha256);
      writeFileSync(join(folder, "nats-server.deb"), deb);
      await machine.run("dpkg-deb", ["-x", join(folder, "nats-server.deb"), join(folder, "unpacked")]);
      return ["usr/sbin/nats-server", "usr/bin/nats-server"]
        .map((path) => join(folder, "unpacked", path))
        .find((path) => existsSync(path))!;
    });
  },
};

async function checkSignature(machine: Machine, path: string, inRelease: Uint8Array): Promise<void> {
  if (!existsSync(KEYRING)) return;
  try {
    await machine.run("gpgv", ["--version"]);
  } catch {
    return;
  }
  writeFileSync(path, inRelease);
  await machine.run("gpgv", ["--keyring", KEYRING, path]);
}

function checkSum(path: string, bytes: Uint8Array, wanted: string): void {
  const actual = createHash("sha256").update(bytes).digest("hex");
  if (actual !== wanted) throw new Error(`${path} has SHA-256 ${actual}, not ${wanted}: it was thrown away`);
}

/** Finds the SHA-256 of an index in InRelease. @throws {Error} If it is not named. */
function indexSum(inRelease: string, path: string): string {
  for (const line of inRelease.split("\n")) {
    const [sum, , file] = line.trim().split(/\s+/);
    if (file === path && sum?.length === 64) return sum;
  }
  throw new Error(`InRelease names no SHA-256 of ${path}`);
}

/**
 * Finds a package in an index.
 *
 * @returns `version` without Debian's revision, e.g. "2.15.1"; `path` from the root of the mirror.
 * @throws {Error} If it is not there.
 */
function packageEntry(index: string, name: string): { version: string; path: string; sha256: string } {
  const begin = `\n${index}`.indexOf(`\nPackage: ${name}\n`);
  if (begin < 0) throw new Error(`no ${name} in the index`);
  const entry = index.slice(begin).split("\n\n", 1)[0]!;
  const field = (key: string) => new RegExp(`^${key}: (.+)$`, "m").exec(entry)?.[1];
  const [version, path, sha256] = [field("Version"), field("Filename"), field("SHA256")];
  if (!version || !path || !sha256) throw new Error(`the index says too little of ${name}`);
  return { version: version.replace(/^\d+:/, "").replace(/[-+~].*$/, ""), path, sha256 };
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
