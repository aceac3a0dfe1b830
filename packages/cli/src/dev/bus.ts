import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findNatsServer, type NatsServer, startNatsServer } from "@stepstream/infra";
import { CliError, EXIT } from "../errors.ts";

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
  /** Default: 4222, or a free one if that is taken. */
  port: number | undefined;
  /** Absolute; undefined: a temporary folder. */
  data: string | undefined;
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
    const server = await startOn(wish.port, start);
    if (data !== undefined) await writeFile(join(data, LOCK), JSON.stringify({ pid: process.pid, nats: server.url }));
    const about = found.kind === "binary" ? `nats-server ${found.version}` : `${found.kind} image`;
    return {
      url: server.url,
      about,
      data,
      ours: true,
      stop: async () => {
        await server.stop();
        await release();
      },
    };
  } catch (error) {
    await release();
    throw error;
  }
}

async function startOn(port: number | undefined, start: (port: number) => Promise<NatsServer>): Promise<NatsServer> {
  if (port !== undefined) return start(port);
  try {
    return await start(USUAL_PORT);
  } catch (error) {
    if (/could not listen|already allocated/.test(String(error))) return start(0);
    throw error;
  }
}

/** Of what nats-server logs: what is wrong. */
function trouble(say: (line: string) => void): (line: string) => void {
  return (line) => {
    const [, what] = /\[(?:WRN|ERR|FTL)\] (.*)/.exec(line) ?? [];
    if (what) say(what);
  };
}

const LOCK = "dev.json";

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

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
