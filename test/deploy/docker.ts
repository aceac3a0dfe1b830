/** Docker for tests: whether it answers, and a base image for machines that reach no registry of images. */
import { execFile } from "node:child_process";
import { chmod, cp, mkdir, realpath, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Runs docker. @returns What it prints. @throws {Error} It failed; the message has its output. */
export async function docker(...args: string[]): Promise<string> {
  const { stdout } = await run("docker", args, { maxBuffer: 64 * 2 ** 20 });
  return stdout.trim();
}

/** Why no image can be built and started here; undefined: it can. */
export async function noDocker(): Promise<string | undefined> {
  if (process.env.STEPSTREAM_TEST_NATS === "binary") return "STEPSTREAM_TEST_NATS=binary asks for no Docker";
  if (process.platform !== "linux") return `the image is for Linux, and this is ${process.platform}`;
  return run("docker", ["info"], { timeout: 10_000 }).then(
    () => undefined,
    (error: Error) => `Docker does not answer (${error.message.split("\n")[0]})`,
  );
}

/** Variables that define how this machine reaches a registry of packages. */
const NETWORK = /^(https?_proxy|no_proxy|node_extra_ca_certs|node_use_\w+|npm_config_registry)$/i;

/**
 * Builds an image with this machine's Node.js, npm, a shell and env, and nothing else: enough for BUILD and BASE of the
 * Dockerfile.
 *
 * @param folder - An empty one, for the files.
 */
export async function buildBase(tag: string, folder: string): Promise<void> {
  const binaries = { "usr/local/bin/node": process.execPath, "bin/sh": "/bin/sh", "usr/bin/env": "/usr/bin/env" };
  const libraries = new Set<string>();
  for (const [to, from] of Object.entries(binaries)) {
    await copy(await realpath(from), join(folder, "root", to));
    const { stdout } = await run("ldd", [from]).catch(() => ({ stdout: "" })); // linked statically
    for (const [library] of stdout.matchAll(/\/\S+/g)) libraries.add(library);
  }
  for (const library of libraries) await copy(library, join(folder, "root", library));
  const certificates = "/etc/ssl/certs/ca-certificates.crt";
  await copy(certificates, join(folder, "root", certificates)).catch(() => {}); // there are none
  const npm = dirname(dirname(await npmScript()));
  await cp(npm, join(folder, "root/usr/local/lib/npm"), { recursive: true, dereference: true });
  await copy(join(import.meta.dirname, "npm.sh"), join(folder, "root/usr/local/bin/npm"));
  await mkdir(join(folder, "root/tmp"), { recursive: true });
  await chmod(join(folder, "root/tmp"), 0o1777);
  const env = Object.entries(process.env).filter(([name]) => NETWORK.test(name));
  await writeFile(
    join(folder, "Dockerfile"),
    ["FROM scratch", "COPY root/ /", ...env.map(([name, value]) => `ENV ${name}=${JSON.stringify(value)}`), ""].join(
      "\n",
    ),
  );
  await docker("build", "--quiet", "--tag", tag, folder);
}

async function npmScript(): Promise<string> {
  const { npm_execpath } = process.env;
  if (npm_execpath?.endsWith("npm-cli.js")) return realpath(npm_execpath);
  return realpath((await run("sh", ["-c", "command -v npm"])).stdout.trim());
}

async function copy(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await cp(from, to, { dereference: true });
}
