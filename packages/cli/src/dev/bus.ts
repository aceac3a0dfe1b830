import { mkdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findNatsServer, type NatsServer, startNatsServer } from "@stepstream/infra";
import { DEV_FOLDER, devServer, isAlive } from "@stepstream/program/connection";
import { CliError, EXIT } from "../exit.ts";

/** Where the runs of `stepstream dev` live. */
export interface DevBus {
  readonly url: string;
  /** What it is, for people. */
  readonly about: string;
  /** Where its streams are kept; undefined: elsewhere, or only until the end. */
  readonly data: string | undefined;
  /** Whether it was started by us, for us alone. */
  readonly ours: boolean;
  stop(): Promise<void>;
}

export interface BusWish {
  /** The URL of a server that runs. Then all else means nothing. */
  nats: string | undefined;
  /** Default: the one of the last time, else 4222, else a free one. */
  port: number | undefined;
  /** Absolute; undefined: a temporary folder. */
  data: string | undefined;
  /** The project's folder: from it, and from all below, the command line finds the server. */
  project: string;
}

const USUAL_PORT = 4222;

/** Starts nats-server, or takes the one that is named. @throws {CliError} It does not start; another holds `data`. */
export async function devBus(
  wish: BusWish,
  env: Readonly<Record<string, string | undefined>>,
  say: (line: string) => void,
): Promise<DevBus> {
  if (wish.nats !== undefined)
    return { url: wish.nats, about: "a server that runs already", data: undefined, ours: false, stop: async () => {} };

  const found = await findNatsServer({ env: { ...env, NATS_URL: "" }, log: say });
  // A container keeps its own store.
  const data = found.kind === "docker" ? undefined : wish.data;
  const release = data === undefined ? async () => {} : await hold(data);
  try {
    const start = (port: number) =>
      startNatsServer({ found, port, log: trouble(say), ...(data !== undefined && { storeDir: join(data, "nats") }) });
    const server = await startOn(wish.port, await portBefore(wish.data), start, say);
    if (data !== undefined) {
      await writeFile(join(data, LOCK), JSON.stringify({ pid: process.pid, nats: server.url }));
      await writeFile(join(data, PORT), new URL(server.url).port);
    }
    const withdraw = await announce(wish.project, server.url);
    const about = found.kind === "binary" ? `nats-server ${found.version}` : `${found.kind} image`;
    return {
      url: server.url,
      about,
      data,
      ours: true,
      stop: async () => {
        await withdraw();
        await server.stop();
        await release();
      },
    };
  } catch (error) {
    await release();
    throw error;
  }
}

/** The port that it had the last time: what was noted then, a URL in an editor or a terminal, is still right. */
async function portBefore(data: string | undefined): Promise<number | undefined> {
  const text = data === undefined ? "" : await readFile(join(data, PORT), "utf8").catch(() => "");
  const port = Number(text);
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined;
}

/** A server that was killed a moment ago may not have let go of its port yet. */
const AGAIN = { times: 5, ms: 200 };

async function startOn(
  port: number | undefined,
  before: number | undefined,
  start: (port: number) => Promise<NatsServer>,
  say: (line: string) => void,
): Promise<NatsServer> {
  if (port !== undefined) return start(port);
  if (before !== undefined)
    for (let time = 1; time <= AGAIN.times; time++) {
      const server = await start(before).catch(unlessTaken);
      if (server) return server;
      if (time < AGAIN.times) await sleep(AGAIN.ms);
    }
  const usual = before === USUAL_PORT ? undefined : await start(USUAL_PORT).catch(unlessTaken);
  const server = usual ?? (await start(0));
  if (before !== undefined)
    say(`port ${before}, which it had before, is taken: it is on ${new URL(server.url).port} now`);
  return server;
}

function unlessTaken(error: unknown): undefined {
  if (!/could not listen|already allocated/.test(String(error))) throw error;
}

/**
 * Says in the project's folder where the server is, also if its data is elsewhere, or nowhere. The first one to say so is
 * found. @returns What takes it back, and leaves no folder behind that was not there.
 */
async function announce(project: string, nats: string): Promise<() => Promise<void>> {
  const folder = join(project, DEV_FOLDER);
  const file = join(folder, LOCK);
  const there = await devServer(project);
  if (there && there.folder === project) return async () => {}; // it is this one, or another was first
  const made = await mkdir(folder, { recursive: true });
  if (made !== undefined) await writeFile(join(folder, ".gitignore"), "*\n");
  await writeFile(file, JSON.stringify({ pid: process.pid, nats }));
  return async () => {
    await rm(file, { force: true });
    if (made === undefined) return;
    await rm(join(folder, ".gitignore"), { force: true });
    await rmdir(folder).catch(() => {}); // somebody else has put something there
  };
}

/** Of what nats-server logs: what is wrong. */
function trouble(say: (line: string) => void): (line: string) => void {
  return (line) => {
    const [, what] = /\[(?:WRN|ERR|FTL)\] (.*)/.exec(line) ?? [];
    if (what) say(what);
  };
}

const LOCK = "dev.json";
const PORT = "port";

/** Two servers on one store would destroy it. @returns What lets go of it. */
async function hold(data: string): Promise<() => Promise<void>> {
  await mkdir(data, { recursive: true });
  await writeFile(join(data, ".gitignore"), "*\n");
  const lock = join(data, LOCK);
  const release = () => rm(lock, { force: true });
  for (;;) {
    try {
      await writeFile(lock, JSON.stringify({ pid: process.pid }), { flag: "wx" });
      return release;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const { pid, nats } = JSON.parse((await readFile(lock, "utf8").catch(() => "")) || "{}") as {
      pid?: number;
      nats?: string;
    };
    if (pid !== undefined && isAlive(pid))
      throw new CliError(
        `stepstream dev runs on ${data} already: process ${pid}${nats ? `, ${nats}` : ""}. End it, or name another --data.`,
        EXIT.state,
      );
    await release();
  }
}
