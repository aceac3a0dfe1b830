import { type FoundNatsServer, findNatsServer } from "./find.ts";
import { startContainer } from "./server/container.ts";
import { startProcess } from "./server/process.ts";
import { untilReady } from "./server/ready.ts";

export interface StartOptions {
  /** 0, the default, takes a free one. It stays the same across `restart`. */
  port?: number;
  /** Where the streams are kept. Default: a temporary folder that `stop` removes. */
  storeDir?: string;
  /**
   * When a write goes to the disk: `always` before it is acknowledged, `2m` (the server's default) every two minutes,
   * so that a power cut, though not a killed process, can lose what was acknowledged in between.
   */
  syncInterval?: "2m" | "always";
  /** Takes the server's log and what the search for it says, one line at a time. Default: silence. */
  log?: (line: string) => void;
  /** Default: what {@link findNatsServer} finds. */
  found?: FoundNatsServer;
}

/** A nats-server with JetStream that answers. */
export interface NatsServer {
  readonly kind: FoundNatsServer["kind"];
  readonly url: string;
  /** Of the child process; undefined for a server that is not one. */
  readonly pid: number | undefined;
  /** Ends it in good order and removes its store, unless `storeDir` was given. A server named by NATS_URL stays up. */
  stop(): Promise<void>;
  /** Ends it with SIGKILL; the store stays. @throws {Error} For a server named by NATS_URL. */
  kill(): Promise<void>;
  /** Starts it again, running or killed, with the same port and store. @throws {Error} For a server named by NATS_URL. */
  restart(): Promise<void>;
}

/**
 * Finds nats-server and starts it; resolves once it answers. It ends with this process, however that ends.
 *
 * @throws {NatsServerNotFoundError} If there is none and none can be fetched.
 * @throws {Error} If it ends before it is ready (its last lines are in the message), or `port` is taken.
 */
export async function startNatsServer(options: StartOptions = {}): Promise<NatsServer> {
  const found = options.found ?? (await findNatsServer(options.log ? { log: options.log } : {}));
  switch (found.kind) {
    case "binary":
      return startProcess(found.path, options);
    case "docker":
      return startContainer(found.image, options);
    case "url":
      return useServer(found.url);
  }
}

async function useServer(url: string): Promise<NatsServer> {
  const { hostname, port, protocol } = new URL(url.includes("://") ? url : `nats://${url}`);
  // A server behind TLS or WebSocket speaks another first word; the client will find out.
  if (protocol === "nats:") await untilReady({ host: hostname, port: Number(port || 4222) });
  const refuse = async () => {
    throw new Error(`The server at ${url} is not ours to kill or restart: unset NATS_URL to have one started.`);
  };
  return { kind: "url", url, pid: undefined, stop: async () => {}, kill: refuse, restart: refuse };
}
