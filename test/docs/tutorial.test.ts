/**
 * docs/tutorial.md is carried out as it stands there, by the comments above its blocks: commands are run in a project that
 * the page itself creates, files are written, and each line of what it prints has to be in what was printed.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { mark } from "../cli/left-behind.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

let server: TestServer;
let folder: string;
let env: Record<string, string | undefined>;
let background: ChildProcess | undefined;
beforeAll(async () => {
  // Its own server, which `npm run dev` then takes: port 4222 of this machine may be somebody else's.
  server = await startTestServer();
  folder = await mkdtemp(join(tmpdir(), "stepstream-tutorial-"));
  env = {
    ...process.env,
    ...mark().env,
    NATS_URL: server.url,
    NODE_COMPILE_CACHE: join(folder, "compiled"),
    XDG_CACHE_HOME: join(folder, "cache"),
    PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
    NO_COLOR: "1",
  };
  for (const name of ["NODE_OPTIONS", "STEPSTREAM_NAMESPACE", "FORCE_COLOR"]) delete env[name];
});
afterAll(async () => {
  await ended();
  await server?.stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** Runs lines as a shell would; everything they print. */
function run(lines: string, cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile("sh", ["-ec", lines], { cwd, env: env as NodeJS.ProcessEnv }, (error, out, err) => {
      if (error) reject(new Error(`${lines}\n${out}${err}`));
      else resolve(out + err);
    });
  });
}

async function untilTrue<T>(look: () => Promise<T>, holds: (seen: T) => boolean): Promise<T> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const seen = await look().catch((error: Error) => error);
    if (!(seen instanceof Error) && holds(seen)) return seen;
    if (Date.now() > deadline) throw seen instanceof Error ? seen : new Error(`not within 30 s: ${seen}`);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

async function begun(command: string, cwd: string): Promise<void> {
  const child = spawn("sh", ["-c", `exec ${command}`], {
    cwd,
    env: env as NodeJS.ProcessEnv,
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  background = child;
  let said = "";
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding("utf8").on("data", (text) => {
      said += text;
      if (said.includes("Start a run:")) resolve();
    });
    child.once("exit", () => reject(new Error(`It has ended:\n${said}`)));
  });
}

/** As if the machine had gone: not only npm, but all of its group. */
async function ended(): Promise<void> {
  if (!background?.pid || background.exitCode !== null) return;
  const exited = once(background, "exit");
  process.kill(-background.pid, "SIGKILL");
  await exited;
  background = undefined;
}

it("does what it says", async () => {
  const page = await readFile(join(ROOT, "docs/tutorial.md"), "utf8");
  const blocks = [...page.matchAll(/<!-- (.+?) -->\n(?:```\w*\n([\s\S]*?)```)?/g)].map(([, what, text]) => ({
    what: what!,
    text: text ?? "",
  }));
  expect(blocks.length).toBeGreaterThan(18);
  expect(blocks.filter(({ text }) => text !== "")).toHaveLength(page.match(/^```/gm)!.length / 2);
  const project = join(folder, "shop");
  let printed = "";
  let command = "";
  for (const { what, text } of blocks) {
    if (what === "run in the checkout") printed = await run(text.replace("../shop", project), ROOT);
    else if (what === "go on in ../shop") printed = await run(text.replace("cd ../shop\n", ""), project);
    else if (what === "background") {
      command = text.trim();
      await begun(command, project);
    } else if (what.startsWith("kill the background")) {
      await ended();
      await begun(command, project);
    } else if (what === "run") printed = await run(text, project);
    else if (what === "run, until it works")
      printed = await untilTrue(
        () => run(text, project),
        () => true,
      );
    else if (what.startsWith("run, until it prints ")) {
      const words = what.slice("run, until it prints ".length);
      printed = await untilTrue(
        () => run(text, project),
        (seen) => seen.includes(words),
      );
    } else if (what.startsWith("write ")) {
      const path = join(project, what.slice("write ".length));
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
    } else if (what === "prints") for (const line of text.trimEnd().split("\n")) expect(printed).toContain(line);
    else throw new Error(`The page says "${what}", and nobody knows how to do that.`);
  }
}, 180_000);
