import { connect as connectNats, type NatsConnection } from "@nats-io/transport-node";
import { type Duration, durationMs, LogUnavailableError } from "@stepstream/contracts";
import { type EventLog, systemClock } from "@stepstream/event-log";
import { connectEventLog, lasting, untilServed, type WaitOptions } from "@stepstream/event-log/jetstream";
import { type Client, connect } from "@stepstream/sdk";
import type { Command } from "commander";
import { CliError, EXIT } from "./errors.ts";
import type { Io } from "./io.ts";
import { type NatsFlags, natsOptions } from "./nats/options.ts";

/** What a command has of the bus. */
export interface Bus {
  readonly log: EventLog;
  readonly client: Client;
  readonly namespace: string;
  /** The server's API: for what the log has no word for. */
  readonly nc: NatsConnection;
}

export interface BusFlags extends NatsFlags {
  namespace?: string;
  connectTimeout?: string;
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
  const flags = command.optsWithGlobals<BusFlags>();
  const namespace = namespaceOf(flags, io);
  const nc = await dial(flags, io);
  // Whoever waits for a run would wait for ever on a connection that is no more.
  const lost = nc.closed().then((cause) => {
    const why = cause ? ` (${cause.message})` : "";
    throw new CliError(`The connection to the bus is lost, and did not come back${why}.`, EXIT.bus);
  });
  lost.catch(() => {});
  try {
    const patience = waiting(flags, io);
    const log = await connectEventLog({ nats: nc, namespace, create: options.create ?? false, ...patience });
    const client = await connect({ log });
    try {
      return await Promise.race([work({ log, client, namespace, nc }), lost]);
    } finally {
      await client.close();
      await log.close();
    }
  } finally {
    await nc.close();
  }
}

export function namespaceOf(flags: BusFlags, io: Io): string {
  return flags.namespace || io.env.STEPSTREAM_NAMESPACE || "default";
}

/** A server that is restarted, or a cluster that chooses a leader, is back in ten seconds; a person waits no longer. */
const RECONNECT = { maxReconnectAttempts: 20, reconnectTimeWait: 500 };

const SAY_EVERY_MS = 10_000;

/** How long to wait for a server, and what is said meanwhile. @throws {CliError} That is not a duration. */
function waiting(flags: BusFlags, io: Io): WaitOptions {
  const said = flags.connectTimeout || io.env.STEPSTREAM_CONNECT_TIMEOUT || "0s";
  let nextAt = 0;
  try {
    return {
      waitMs: durationMs(said as Duration, "--connect-timeout"),
      signal: io.signal,
      onWaiting({ message }) {
        if (Date.now() < nextAt) return;
        nextAt = Date.now() + SAY_EVERY_MS;
        io.err.write(`waiting for nats-server: ${message}\n`);
      },
    };
  } catch (cause) {
    throw new CliError((cause as Error).message, EXIT.usage, { cause });
  }
}

/** A plain connection, for those who ask what the namespace is like before they open it. */
export async function dial(flags: BusFlags, io: Io): Promise<NatsConnection> {
  const options = await natsOptions(flags, io.env, io.cwd);
  const where = [options.servers].flat().join(", ");
  const once = async () => {
    try {
      return await connectNats({ ...RECONNECT, name: "stepstream cli", timeout: 5_000, ...lasting(options) });
    } catch (cause) {
      throw new LogUnavailableError(`the connection to ${where}`, (cause as Error).message, { cause });
    }
  };
  try {
    return await untilServed(systemClock, waiting(flags, io), once);
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
