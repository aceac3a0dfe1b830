import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Duration } from "@stepstream/contracts";
import type { EventLog } from "@stepstream/event-log";
import type { WaitOptions } from "@stepstream/event-log/jetstream";
import type { Connection, NatsFlags } from "@stepstream/program/connection";
import type { Client } from "@stepstream/sdk";
import type { Command } from "commander";
import { CliError, EXIT } from "./exit.ts";
import type { Io } from "./io.ts";
import { painter } from "./print/colour.ts";

/** What a command has of the bus. */
export interface Bus {
  readonly log: EventLog;
  /** The client, which is loaded when it is asked for: half of the commands need none. */
  client(): Promise<Client>;
  readonly namespace: string;
  /** The server's API: for what the log has no word for. */
  readonly nc: NatsConnection;
}

export interface BusFlags extends NatsFlags {
  namespace?: string;
  connectTimeout?: string;
}

/** What every command has, whether or not its namespace is there. */
export interface Nats {
  readonly nc: NatsConnection;
  readonly namespace: string;
  readonly connection: Connection;
  /** Rejects with why the command cannot go on: the connection is lost, or it was interrupted. */
  readonly ended: Promise<never>;
}

/**
 * Runs a command on a plain connection, and disconnects after it.
 *
 * @throws {CliError} No server answers there, or it does not let us in.
 */
export async function withNats<T>(command: Command, io: Io, work: (nats: Nats) => Promise<T>): Promise<T> {
  const flags = command.optsWithGlobals<BusFlags>();
  const namespace = namespaceOf(flags, io);
  const { signal } = io;
  // Not every call can be given up; but nobody waits for its end after Ctrl-C.
  const aborted = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => {});
  const { nc, connection } = await Promise.race([dial(flags, io), aborted]);
  // Whoever waits for a run would wait for ever on a connection that is no more.
  const lost = nc.closed().then((cause) => {
    const why = cause ? ` (${cause.message})` : "";
    throw new CliError(`The connection to the bus is lost, and did not come back${why}.`, EXIT.bus);
  });
  const ended = Promise.race([lost, aborted]);
  ended.catch(() => {});
  try {
    return await Promise.race([work({ nc, namespace, connection, ended }), ended]);
  } finally {
    await unlessAborted(io, nc.close());
  }
}

/** A server that does not answer keeps nobody from leaving. */
async function unlessAborted({ signal }: Io, closing: Promise<void> | undefined): Promise<void> {
  await (signal.aborted ? Promise.race([closing, sleep(200)]) : closing);
}

/**
 * Runs a command on the bus, and hangs up after it.
 *
 * @param options.create - Whether a namespace that is not there is made. Default false: a name that was mistyped should
 * not leave streams behind.
 * @throws {CliError} Nobody answers there, or not to us.
 * @throws {NamespaceNotFoundError} There is no such namespace.
 */
export async function withBus<T>(
  command: Command,
  io: Io,
  work: (bus: Bus) => Promise<T>,
  options: { create?: boolean } = {},
): Promise<T> {
  return withNats(command, io, async ({ nc, namespace, ended }) => {
    const { connectEventLog } = await import("@stepstream/event-log/jetstream");
    const opening = connectEventLog({
      nats: nc,
      namespace,
      create: options.create ?? false,
      ...(await waiting(command.optsWithGlobals<BusFlags>(), io)),
    });
    const log = await Promise.race([opening, ended]);
    // What the commands ask the server's API for themselves would wait for an answer that does not come.
    const denied = Promise.withResolvers<never>();
    denied.promise.catch(() => {});
    log.onDenied?.(({ thrown, needed, error }) => {
      if (thrown) return;
      if (needed.startsWith("$JS.API.")) denied.reject(error);
      else if (!io.json) io.err.write(`warning: ${error.message}\n`);
    });
    let connected: Promise<Client> | undefined;
    const client = () => {
      connected ??= import("@stepstream/sdk").then(({ connect }) => connect({ log }));
      return connected;
    };
    try {
      return await Promise.race([work({ log, client, namespace, nc }), ended, denied.promise]);
    } finally {
      await unlessAborted(
        io,
        connected?.then((one) => one.close()),
      );
      await unlessAborted(io, log.close());
    }
  });
}

export function namespaceOf(flags: BusFlags, io: Io): string {
  return flags.namespace || io.env.STEPSTREAM_NAMESPACE || "default";
}

/** A server that is restarted, or a cluster that chooses a leader, is back in ten seconds; a person waits no longer. */
const RECONNECT = { maxReconnectAttempts: 20, reconnectTimeWait: 500 };

async function connectionOf(flags: BusFlags, io: Io): Promise<Connection> {
  const { connectionOf } = await import("@stepstream/program/connection");
  const connection = await connectionOf(flags, io.env, io.cwd);
  const namespace = namespaceOf(flags, io);
  // Who asks for nothing, and gets the default, need not be told. Programs that read JSON know what they ask for.
  if (!io.json && (connection.from !== undefined || namespace !== "default")) {
    const from = connection.from === undefined ? "" : ` (${connection.from})`;
    io.err.write(`${painter(io, io.err)("gray", `using ${connection.where}${from}, namespace "${namespace}"`)}\n`);
  }
  return connection;
}

const SAY_EVERY_MS = 10_000;

/** How long to wait for a server, and what is said meanwhile. @throws {CliError} That is not a duration. */
async function waiting(flags: BusFlags, io: Io): Promise<WaitOptions> {
  const { durationMs } = await import("@stepstream/contracts");
  const said = flags.connectTimeout || io.env.STEPSTREAM_CONNECT_TIMEOUT || "0s";
  let nextAt = 0;
  try {
    return {
      waitMs: durationMs(said as Duration, "--connect-timeout"),
      signal: io.signal,
      onWaiting({ message }) {
        if (Date.now() < nextAt) return;
        nextAt = Date.now() + SAY_EVERY_MS;
        if (!io.json) io.err.write(`waiting for nats-server: ${message}\n`);
      },
    };
  } catch (cause) {
    throw new CliError((cause as Error).message, EXIT.usage, { cause });
  }
}

/** A plain connection: the server's API. */
async function dial(flags: BusFlags, io: Io): Promise<Pick<Nats, "nc" | "connection">> {
  const connection = await connectionOf(flags, io);
  const { options, where } = connection;
  const [{ connect }, { LogUnavailableError }, { systemClock }, { lasting, untilServed }] = await Promise.all([
    import("@nats-io/transport-node"),
    import("@stepstream/contracts"),
    import("@stepstream/event-log"),
    import("@stepstream/event-log/jetstream"),
  ]);
  const once = async () => {
    try {
      return await connect({ ...RECONNECT, name: "stepstream cli", timeout: 5_000, ...lasting(options) });
    } catch (cause) {
      throw new LogUnavailableError(`the connection to ${where}`, (cause as Error).message, { cause });
    }
  };
  try {
    return { nc: await untilServed(systemClock, await waiting(flags, io), once), connection };
  } catch (error) {
    if (!(error instanceof LogUnavailableError)) throw error;
    const { cause } = error;
    const why = (cause as Error).message;
    if (/authorization|authentication|credential/i.test(why))
      throw new CliError(`${where} does not let us in: ${why}. See --creds, --user, --context.`, EXIT.bus, { cause });
    if (/certificate|altnames|self[- ]signed/i.test(why))
      throw new CliError(`The certificate of ${where} is not trusted: ${why}. See --tls-ca.`, EXIT.bus, { cause });
    throw new CliError(`${where} does not answer (${why}). Does nats-server run there?`, EXIT.bus, { cause });
  }
}
