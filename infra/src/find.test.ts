import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findNatsServer, NatsServerNotFoundError, SOURCES } from "./find.ts";
import type { Machine } from "./machine.ts";

/**
 * A computer without anything, to which each test gives what it needs: a command as a function of its arguments (what
 * it prints; a throw is a failure), a file of the web as its bytes.
 */
interface Fake {
  env: Record<string, string>;
  commands: Record<string, (args: readonly string[], cwd?: string) => string>;
  web: Record<string, string | Uint8Array>;
  platform?: NodeJS.Platform;
  arch?: string;
}

let cache: string;
let log: string[];

beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "stepstream-find-"));
  log = [];
});
afterEach(() => rmSync(cache, { recursive: true, force: true }));

function find(fake: Partial<Fake>) {
  const { env = {}, commands = {}, web = {}, platform = "linux", arch = "x64" } = fake;
  const machine: Machine = {
    platform,
    arch,
    env,
    cache,
    async run(command, args, options) {
      // What was fetched says its version as the real one does: the fetched file holds what -v prints.
      if (command.startsWith(cache)) return readFileSync(command, "utf8");
      if (!commands[command]) throw new Error(`${command} is not installed`);
      if (command === "go" && args[0] === "install") {
        mkdirSync(options!.env!.GOBIN!, { recursive: true });
        writeFileSync(join(options!.env!.GOBIN!, "nats-server"), "nats-server: v2.15.1");
      }
      return commands[command](args, options?.cwd);
    },
    async download(url) {
      const body = web[url];
      if (body === undefined) throw new Error(`cannot fetch ${url}: HTTP 404`);
      return typeof body === "string" ? new TextEncoder().encode(body) : body;
    },
  };
  return findNatsServer({ env, machine, log: (line) => log.push(line) });
}

const sha256 = (data: string | Uint8Array) => createHash("sha256").update(data).digest("hex");

const installed = { "nats-server": () => "nats-server: v2.12.3\n" };
const RELEASE = "https://github.com/nats-io/nats-server/releases/download/v2.15.1";
const ARCHIVE = "nats-server-v2.15.1-linux-amd64.tar.gz";
const released = {
  web: {
    [`${RELEASE}/${ARCHIVE}`]: "the archive",
    [`${RELEASE}/SHA256SUMS`]: `${"0".repeat(64)}  another.zip\n${sha256("the archive")}  ${ARCHIVE}\n`,
  },
  commands: {
    tar: (_args: readonly string[], cwd?: string) => {
      const folder = join(cwd!, ARCHIVE.replace(".tar.gz", ""));
      mkdirSync(folder);
      writeFileSync(join(folder, "nats-server"), "nats-server: v2.15.1");
      return "";
    },
  },
};
const withGo = { go: () => "" };

const MIRROR = "https://deb.debian.org/debian";
const index = gzipSync(
  [
    "Package: nats-server-doc\nVersion: 9.9.9\n",
    `Package: nats-server\nVersion: 2.15.1-1\nFilename: pool/nats.deb\nSHA256: ${sha256("the package")}\n`,
  ].join("\n"),
);
const withDebian = {
  web: {
    [`${MIRROR}/dists/forky/InRelease`]: `SHA256:\n ${sha256(index)} 1234 main/binary-amd64/Packages.gz\n`,
    [`${MIRROR}/dists/forky/main/binary-amd64/Packages.gz`]: new Uint8Array(index),
    [`${MIRROR}/pool/nats.deb`]: "the package",
  },
  commands: {
    gpgv: () => "",
    "dpkg-deb": (args: readonly string[]) => {
      if (args[0] === "-x") {
        mkdirSync(join(args[2]!, "usr/sbin"), { recursive: true });
        writeFileSync(join(args[2]!, "usr/sbin/nats-server"), "nats-server: v2.15.1");
      }
      return "";
    },
  },
};
const withDocker = { docker: () => "" };

describe("the order of the search", () => {
  it("is NATS_URL, PATH, cache, release archive, go install, Debian package, Docker", () => {
    expect(SOURCES.map(({ name }) => name)).toEqual([
      "NATS_URL",
      "PATH",
      "cache",
      "release archive",
      "go install",
      "Debian package",
      "Docker",
    ]);
  });

  const everything = {
    env: { NATS_URL: "nats://example:4222" },
    commands: { ...installed, ...released.commands, ...withGo, ...withDebian.commands, ...withDocker },
    web: { ...released.web, ...withDebian.web },
  };
  const without = (...names: string[]) => {
    const left = structuredClone({ env: everything.env, web: everything.web }) as Pick<Fake, "env" | "web">;
    const commands: Fake["commands"] = { ...everything.commands };
    for (const name of names) {
      if (name === "NATS_URL") delete left.env[name];
      else if (name === "release") delete left.web[`${RELEASE}/${ARCHIVE}`];
      else delete commands[name];
    }
    return { ...left, commands };
  };

  it.each([
    ["takes the server that NATS_URL names", [], { kind: "url", url: "nats://example:4222" }],
    ["then the one that is installed", ["NATS_URL"], { version: "2.12.3", source: "PATH" }],
    ["then the release archive", ["NATS_URL", "nats-server"], { source: "release archive" }],
    ["then go install", ["NATS_URL", "nats-server", "release"], { source: "go install" }],
    ["then Debian's package", ["NATS_URL", "nats-server", "release", "go"], { source: "Debian package" }],
    ["then Docker", ["NATS_URL", "nats-server", "release", "go", "dpkg-deb"], { kind: "docker", image: "nats:2.15.1" }],
  ])("%s", async (_sentence, lacking, found) => {
    expect(await find(without(...lacking))).toMatchObject(found);
  });

  it("finds in the cache what an earlier search fetched", async () => {
    const first = await find(released);
    expect(first).toMatchObject({ kind: "binary", path: join(cache, "nats-server", "2.15.1", "nats-server") });
    log = [];
    expect(await find({})).toEqual({ ...first, source: "cache" });
    expect(log).toEqual([]);
  });
});

describe("what it says", () => {
  it("nothing, where a look is enough", async () => {
    await find({ commands: installed });
    expect(log).toEqual([]);
  });

  it("one line for each source that could not help, and one before it fetches", async () => {
    await find({ commands: { "nats-server": () => "nats-server: v2.11.9", ...withGo } });
    expect(log).toEqual([
      "nats-server, NATS_URL: not set",
      "nats-server, PATH: 2.11.9 is older than 2.12.0",
      `nats-server, cache: nothing in ${join(cache, "nats-server", "2.15.1", "nats-server")} yet`,
      `nats-server, release archive: fetching ${ARCHIVE} from github.com`,
      `nats-server, release archive: cannot fetch ${RELEASE}/${ARCHIVE}: HTTP 404`,
      "nats-server, go install: building github.com/nats-io/nats-server/v2@v2.15.1, about a minute",
    ]);
  });

  it("all of them, and what to install on each system, when nothing helped", async () => {
    const error = await find({ platform: "freebsd" }).catch((e) => e);
    expect(error).toBeInstanceOf(NatsServerNotFoundError);
    expect(error.failures).toEqual([
      "nats-server, NATS_URL: not set",
      "nats-server, PATH: nats-server is not installed",
      `nats-server, cache: nothing in ${join(cache, "nats-server", "2.15.1", "nats-server")} yet`,
      "nats-server, release archive: no archive for freebsd on x64",
      "nats-server, go install: go is not installed",
      "nats-server, Debian package: only for Linux on x64 and arm64",
      "nats-server, Docker: docker is not installed",
    ]);
    for (const advice of ["macOS    brew install", "Linux    go install", "Windows  scoop install", "NATS_URL="]) {
      expect(error.message).toContain(advice);
    }
  });
});

describe("what is fetched", () => {
  it.each([
    ["an archive", { ...released, web: { ...released.web, [`${RELEASE}/${ARCHIVE}`]: "forged" } }, ARCHIVE],
    [
      "a Debian package",
      { ...withDebian, web: { ...withDebian.web, [`${MIRROR}/pool/nats.deb`]: "forged" } },
      "pool/nats.deb",
    ],
    [
      "a Debian index",
      {
        ...withDebian,
        web: { ...withDebian.web, [`${MIRROR}/dists/forky/main/binary-amd64/Packages.gz`]: "forged" },
      },
      "main/binary-amd64/Packages.gz",
    ],
  ])("is thrown away if its SHA-256 is wrong: %s", async (_what, fake, name) => {
    const error: NatsServerNotFoundError = await find(fake).catch((e) => e);
    expect(error.failures.join("\n")).toContain(`${name} has SHA-256 ${sha256("forged")}, not `);
    expect(readdirSync(cache)).toEqual([]);
  });

  it("has to be named by the SHA256SUMS of the release", async () => {
    const web = { ...released.web, [`${RELEASE}/SHA256SUMS`]: "" };
    const error: NatsServerNotFoundError = await find({ ...released, web }).catch((e) => e);
    expect(error.failures).toContain(`nats-server, release archive: SHA256SUMS does not name ${ARCHIVE}`);
  });

  it("is tried before it is kept: one too old leaves nothing behind", async () => {
    const tar = (args: readonly string[], cwd?: string) => {
      released.commands.tar(args, cwd);
      writeFileSync(join(cwd!, ARCHIVE.replace(".tar.gz", ""), "nats-server"), "nats-server: v2.9.0");
      return "";
    };
    await expect(find({ ...released, commands: { tar } })).rejects.toThrow("2.9.0 is older than 2.12.0");
    expect(readdirSync(cache)).toEqual([]);
  });

  it("lies alone in its folder", async () => {
    const found = await find(released);
    const path = found.kind === "binary" ? found.path : "";
    expect(readdirSync(dirname(path))).toEqual([basename(path)]);
  });
});
