/**
 * Brings what this repository needs and the machine lacks.
 *
 *   Node.js >= 22.22   used as it is, else the npm package of its binary      cache/node-<version>
 *   pnpm               the pinned version, from npm                           cache/pnpm-<version>
 *   packages           pnpm install, if a manifest or the lockfile changed    node_modules, cache/pnpm-store
 *   nats-server        see infra/src/find.ts                                  cache/nats-server
 *
 * Nothing else is written outside the checkout. A tool's version and SHA-512 are pinned in toolchain.json and checked by
 * npm. Each tool is unpacked beside its place and moved there in one step, so that several runs at once do
 * no harm and a cut leaves nothing that looks whole.
 */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { outputOf, runChild, seconds, tell } from "./child.mjs";

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** The one folder outside the checkout. */
const CACHE = cacheFolder();
const TOOLCHAIN = JSON.parse(readFileSync(join(ROOT, "scripts", "toolchain.json"), "utf8"));
const MODULES = join(ROOT, "node_modules");
/** Holds the {@link fingerprint} of what was installed. */
const STAMP = join(MODULES, ".stepstream-installed");

/** The same rule as in infra/src/cache.ts. */
function cacheFolder() {
  const { STEPSTREAM_CACHE, XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (STEPSTREAM_CACHE) return STEPSTREAM_CACHE;
  if (process.platform === "win32") return join(LOCALAPPDATA || join(homedir(), "AppData", "Local"), "stepstream");
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches", "stepstream");
  return join(XDG_CACHE_HOME || join(homedir(), ".cache"), "stepstream");
}

/**
 * The environment for what we run: this Node.js first on the path, and every tool's own cache inside ours.
 *
 * @param {{ firstOnPath?: string[] }} [options]
 */
export function environment({ firstOnPath = [] } = {}) {
  const env = { ...process.env };
  const key = Object.keys(env).find((name) => name.toUpperCase() === "PATH") ?? "PATH"; // "Path" on Windows
  env[key] = [...firstOnPath, dirname(process.execPath), env[key]].join(delimiter);
  env.STEPSTREAM_CACHE = CACHE;
  env.npm_config_cache = join(CACHE, "npm");
  env.npm_config_update_notifier = "false";
  for (const [folder, place] of Object.entries({ store: "pnpm-store", cache: "pnpm-cache", state: "pnpm-state" })) {
    env[`npm_config_${folder}_dir`] = join(CACHE, place); // read by pnpm up to 10
    env[`pnpm_config_${folder}_dir`] = join(CACHE, place); // and by pnpm from 11
  }
  env.npm_config_confirm_modules_purge = "false"; // packages that another pnpm put there are replaced without a question
  env.COREPACK_HOME = join(CACHE, "corepack");
  // Biome, vitest and others follow these. (On macOS vitest does not, and keeps a file with a token in ~/Library.)
  const browsers = join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "ms-playwright");
  if (existsSync(browsers)) env.PLAYWRIGHT_BROWSERS_PATH ??= browsers; // those that are there are used
  env.XDG_CACHE_HOME = join(CACHE, "other");
  env.XDG_DATA_HOME = join(CACHE, "other");
  // Node.js keeps what it makes of a source: the types stripped, and compiled. Tests start some hundred processes.
  env.NODE_COMPILE_CACHE ??= join(MODULES, ".cache", "compile");
  env.NODE_USE_SYSTEM_CA ??= "1"; // behind a proxy that has a certificate of its own
  if (env.HTTPS_PROXY || env.https_proxy) env.NODE_USE_ENV_PROXY ??= "1";
  return env;
}

/** 22.22 and newer, but not 23, which ended before some of our packages were written. @param {string} version */
export function isNodeNewEnough(version) {
  const [major, minor] = version.split(".").map(Number);
  return major >= 24 || (major === 22 && minor >= 22);
}

/**
 * @returns {Promise<string>} The path of a Node.js that is new enough: 24, or on macOS, for which npm has not every
 *   version, the nearest that there is.
 */
export async function bringNode() {
  const why = `Node.js ${process.versions.node} is older than 22.22`;
  const advice = "Install Node.js 22.22 or newer (https://nodejs.org, or your system's packages) and try again.";
  const pin = TOOLCHAIN.node[`${process.platform}-${process.arch}`];
  if (!pin) throw new Error(`${why}, and npm has none for ${process.platform} on ${process.arch}. ${advice}`);
  const path = join(await bring("node", pin, why), "bin", process.platform === "win32" ? "node.exe" : "node");
  try {
    await outputOf(path, ["--version"]);
  } catch {
    throw new Error(`${why}, and this system cannot run the one from npm (${path}). ${advice}`);
  }
  return path;
}

/** Installs the workspace's packages, unless they are. */
export async function bringPackages() {
  if (areInstalled()) return;
  const pnpm = join(await bring("pnpm", TOOLCHAIN.pnpm, "it installs the workspace's packages"), "bin", "pnpm.cjs");
  mkdirSync(MODULES, { recursive: true });
  await locked(join(MODULES, ".stepstream-installing"), async () => {
    if (areInstalled()) return;
    const begin = Date.now();
    tell("installing the workspace's packages with pnpm install");
    const code = await runChild(process.execPath, [pnpm, "install", "--reporter=append-only"], {
      cwd: ROOT,
      env: environment(),
      stdio: ["ignore", 2, 2],
    });
    if (code !== 0) throw new Error(`pnpm install failed with exit code ${code}; what it said is above. Try again.`);
    writeFileSync(STAMP, fingerprint());
    tell(`installed the workspace's packages in ${seconds(begin)}`);
  });
}

/**
 * Whether nothing that decides about the packages has changed since we installed them; or whether somebody did it with a
 * pnpm of their own, which then keeps a copy of the lockfile it followed.
 */
function areInstalled() {
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === fingerprint()) return true;
  const followed = join(MODULES, ".pnpm", "lock.yaml");
  const installed = join(MODULES, ".modules.yaml");
  if (!existsSync(followed) || !existsSync(installed)) return false;
  if (!readFileSync(followed).equals(readFileSync(join(ROOT, "pnpm-lock.yaml")))) return false;
  const at = statSync(installed).mtimeMs;
  return manifests().every((file) => statSync(join(ROOT, file)).mtimeMs <= at);
}

/**
 * Finds nats-server, or fetches it. What it says on the way goes to standard error.
 *
 * @returns {Promise<{ kind: string, url?: string, path?: string, version?: string, source?: string, image?: string }>}
 */
export async function bringServer() {
  const begin = Date.now();
  let found;
  try {
    found = JSON.parse(
      await outputOf(process.execPath, ["infra/src/main.ts", "find"], { cwd: ROOT, env: environment() }),
    );
  } catch {
    throw new Error("There is no nats-server to work with; what to do is said above.");
  }
  const what = found.version ? `${found.version} (${found.source})` : (found.url ?? found.image);
  tell(`Node.js ${process.versions.node}, nats-server ${what}, in ${seconds(begin)}`);
  return found;
}

/**
 * Installs a package into the cache, where it is not there yet.
 *
 * @param {string} name - What people call it, in lower case.
 * @param {{ package: string, version: string, integrity: string }} pin
 * @param {string} why - Ends the line that is printed.
 * @returns {Promise<string>} The folder of the package.
 */
async function bring(name, pin, why) {
  const folder = join(CACHE, `${name}-${pin.version}`);
  const result = join(folder, "node_modules", pin.package);
  if (existsSync(folder)) return result;

  const begin = Date.now();
  tell(`fetching ${name} ${pin.version} from npm into ${CACHE}: ${why}`);
  mkdirSync(CACHE, { recursive: true });
  const temporary = mkdtempSync(join(CACHE, "fetching-"));
  try {
    // npm ci takes what a lockfile says or fails; so the pin becomes one.
    const manifest = { name: "toolchain", version: "0.0.0", dependencies: { [pin.package]: pin.version } };
    const locked = {
      "": manifest,
      [`node_modules/${pin.package}`]: { version: pin.version, integrity: pin.integrity },
    };
    writeFileSync(join(temporary, "package.json"), JSON.stringify(manifest));
    writeFileSync(
      join(temporary, "package-lock.json"),
      JSON.stringify({ name: "toolchain", version: "0.0.0", lockfileVersion: 3, requires: true, packages: locked }),
    );
    const [command, args, shell] = npm();
    const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    const code = await runChild(command, [...args, "ci", "--prefix", temporary, ...flags], {
      cwd: temporary,
      env: { ...environment(), npm_config_cache: join(temporary, "npm-cache") },
      shell,
      stdio: ["ignore", "ignore", 2],
    });
    if (code !== 0) {
      throw new Error(
        `npm could not fetch ${pin.package}@${pin.version} (exit code ${code}; what it said is above). Check your connection to the registry and try again.`,
      );
    }
    rmSync(join(temporary, "npm-cache"), { recursive: true, force: true }); // twice the size, and of no more use
    move(temporary, folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  tell(`fetched ${name} in ${seconds(begin)}`);
  return result;
}

/** @param {string} from @param {string} to */
function move(from, to) {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!existsSync(to)) throw error; // else another run was faster
  }
}

/** How to run npm: the one that runs us, else the one beside Node.js, else the one on the path. */
function npm() {
  const beside = dirname(process.execPath);
  const scripts = [
    process.env.npm_execpath,
    join(beside, "..", "lib", "node_modules", "npm", "bin", "npm-cli.js"),
    join(beside, "node_modules", "npm", "bin", "npm-cli.js"),
  ];
  const script = scripts.find((path) => path?.endsWith("npm-cli.js") && existsSync(path));
  if (script) return /** @type {const} */ ([process.execPath, [script], false]);
  return /** @type {const} */ (["npm", [], process.platform === "win32"]);
}

/** All that decides about node_modules, as one word. */
function fingerprint() {
  const hash = createHash("sha256").update(`${process.platform} ${process.arch}\n`);
  for (const file of ["pnpm-lock.yaml", "pnpm-workspace.yaml", ...manifests()]) {
    hash.update(`${file}\n`).update(readFileSync(join(ROOT, file)));
  }
  return hash.digest("hex");
}

/** The package.json files of the workspace, from the root, sorted. */
function manifests() {
  const lines = readFileSync(join(ROOT, "pnpm-workspace.yaml"), "utf8").split("\n");
  const globs = [];
  for (const line of lines.slice(lines.indexOf("packages:") + 1)) {
    const [, glob] = /^\s+- *["']?([^"']+?)["']?\s*$/.exec(line) ?? [];
    if (!glob) break;
    globs.push(glob);
  }
  const folders = globs.flatMap((glob) => {
    if (!glob.endsWith("/*")) return [glob];
    const parent = glob.slice(0, -2);
    if (!existsSync(join(ROOT, parent))) return [];
    return readdirSync(join(ROOT, parent)).map((name) => `${parent}/${name}`);
  });
  return ["", ...folders.sort().map((folder) => `${folder}/`)]
    .map((folder) => `${folder}package.json`)
    .filter((file) => existsSync(join(ROOT, file)));
}

/**
 * Does the work while no other process does it. A lock whose process is gone is taken over.
 *
 * @param {string} file
 * @param {() => Promise<void>} work
 */
async function locked(file, work) {
  let told = false;
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: "wx" });
      break;
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== "EEXIST") throw error;
    }
    if (!isHeld(file)) {
      rmSync(file, { force: true });
      continue;
    }
    if (!told) tell("another run is installing the packages; waiting for it");
    told = true;
    await sleep(200);
  }
  try {
    await work();
  } finally {
    rmSync(file, { force: true });
  }
}

/** @param {string} file */
function isHeld(file) {
  try {
    const pid = Number(readFileSync(file, "utf8"));
    if (!pid) return Date.now() - statSync(file).mtimeMs < 2_000; // just made, and not yet written
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === "EPERM";
  }
}
