import { connect as connectNats, type NatsConnection } from "@nats-io/transport-node";
import type { EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
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
  try {
    const log = await connectEventLog({ nats: nc, namespace, create: options.create ?? false });
    const client = await connect({ log });
    try {
      return await work({ log, client, namespace, nc });
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

/** A plain connection, for those who ask what the namespace is like before they open it. */
export async function dial(flags: BusFlags, io: Io): Promise<NatsConnection> {
  const options = await natsOptions(flags, io.env, io.cwd);
  try {
    return await connectNats({ name: "stepstream cli", timeout: 5_000, maxReconnectAttempts: 10, ...options });
  } catch (cause) {
    const where = [options.servers]
      .flat()
      .join(", ")
      .replace(/(^|[\s,/])[^\s,/@]*@/g, "$1");
    const why = (cause as Error).message;
    if (/authorization|authentication|credential/i.test(why))
      throw new CliError(`${where} does not let us in: ${why}. See --creds, --user, --context.`, EXIT.bus, { cause });
    throw new CliError(`${where} does not answer (${why}). Does nats-server run there?`, EXIT.bus, { cause });
  }
}
