import { createInterface } from "node:readline/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { type Retention, retentionOf, retentionRuleText } from "@stepstream/contracts";
import {
  connectEventLog,
  type NamespaceInfo,
  type NamespaceSettings,
  type Namespaces,
  openNamespaces,
} from "@stepstream/event-log/jetstream";
import { connect } from "@stepstream/sdk";
import type { Command } from "commander";
import type { SettingFlags } from "../commands/namespace.ts";
import { type BusFlags, namespaceOf, withNats } from "../connection.ts";
import { CliError, EXIT } from "../exit.ts";
import type { Io } from "../io.ts";
import { did } from "../print/did.ts";
import { printLine, printPage } from "../print/json.ts";
import { table } from "../print/table.ts";
import { stamp } from "../print/time.ts";
import { rollCall } from "../roll-call.ts";

export async function ls(command: Command, io: Io): Promise<void> {
  await withNamespaces(command, io, undefined, async (namespaces) => {
    for (const namespace of await namespaces.list()) {
      if (io.json) printLine(io, { namespace });
      else io.out.write(`${namespace}\n`);
    }
  });
}

export async function create(command: Command, io: Io, name: string | undefined, flags: SettingFlags): Promise<void> {
  const namespace = named(command, io, name);
  const settings = {
    ...settingsOf(flags),
    ...(flags.partitions !== undefined && { partitions: Number(flags.partitions) }),
  };
  await withNamespaces(command, io, namespace, async (namespaces) => {
    const made = await namespaces.create(namespace, settings);
    const sentence = made ? `namespace ${namespace} is made` : `namespace ${namespace} is there, as asked for`;
    did(io, sentence, { namespace, done: "create", made });
  });
}

export async function info(command: Command, io: Io, name: string | undefined, { json }: { json?: boolean }) {
  const namespace = named(command, io, name);
  await withNamespaces(command, io, namespace, async (namespaces) => {
    const found = await namespaces.info(namespace);
    if (json) printPage(io, found);
    else print(io, found);
  });
}

export async function update(command: Command, io: Io, name: string | undefined, flags: SettingFlags): Promise<void> {
  const namespace = named(command, io, name);
  const settings = settingsOf(flags);
  if (Object.keys(settings).length === 0)
    throw new CliError(
      "There is nothing to change: use --replicas, --placement-cluster, --placement-tag or --retain.",
      EXIT.usage,
    );
  await withNamespaces(command, io, namespace, async (namespaces) => {
    await namespaces.update(namespace, settings);
    did(io, `namespace ${namespace} is changed`, { namespace, done: "update" });
  });
}

export async function remove(
  command: Command,
  io: Io,
  namespace: string,
  { yes, force }: { yes?: boolean; force?: boolean },
): Promise<void> {
  await withNamespaces(command, io, namespace, async (namespaces, nc) => {
    const { streams } = await namespaces.info(namespace);
    if (!force) await mustBeIdle(nc, namespace);
    const messages = streams.reduce((sum, stream) => sum + stream.messages, 0);
    if (!yes) await confirm(io, namespace, `${messages.toLocaleString("en")} stored messages`);
    await namespaces.remove(namespace);
    did(io, `namespace ${namespace} is deleted`, { namespace, done: "delete" });
  });
}

/** @throws {CliError} Processes use it, or runs are not over. */
async function mustBeIdle(nc: NatsConnection, namespace: string): Promise<void> {
  const log = await connectEventLog({ nats: nc, namespace, create: false });
  const client = await connect({ log });
  try {
    const { coordinators, workers } = await rollCall(log);
    const up = [...coordinators.keys(), ...workers.keys()];
    const anyway = "Nothing was deleted; stop them, or use --force.";
    if (up.length > 0)
      throw new CliError(`Namespace "${namespace}" is in use by ${up.join(", ")}. ${anyway}`, EXIT.state);
    for (const status of ["running", "parked"] as const) {
      const [run] = await client.list({ status, limit: 1 });
      if (run) throw new CliError(`Run ${run.id} of namespace "${namespace}" is ${status}. ${anyway}`, EXIT.state);
    }
  } finally {
    await client.close();
    await log.close();
  }
}

/** @throws {CliError} The answer is another name; or there is no terminal. */
async function confirm(io: Io, name: string, what: string): Promise<void> {
  if (!io.err.isTTY || io.json)
    throw new CliError(
      `This deletes namespace "${name}" with ${what}. Nothing was deleted; say --yes to do it.`,
      EXIT.usage,
    );
  io.err.write(`This deletes namespace "${name}" with ${what}. Type its name to go ahead: `);
  const lines = createInterface({ input: io.in });
  try {
    const [line] = await Promise.race([
      lines[Symbol.asyncIterator]()
        .next()
        .then(({ value }) => [value as string | undefined]),
      new Promise<never>((_, reject) =>
        io.signal.addEventListener("abort", () => reject(io.signal.reason), { once: true }),
      ),
    ]);
    if (line?.trim() !== name) throw new CliError("That is another name. Nothing was deleted.", EXIT.no);
  } finally {
    lines.close();
  }
}

function named(command: Command, io: Io, name: string | undefined): string {
  const flags = command.optsWithGlobals<BusFlags>();
  if (name !== undefined && flags.namespace !== undefined && flags.namespace !== name)
    throw new CliError(`It is namespace "${name}" or "${flags.namespace}": leave --namespace out.`, EXIT.usage);
  return name ?? namespaceOf(flags, io);
}

function settingsOf(flags: SettingFlags): NamespaceSettings {
  const { replicas, placementCluster, placementTag, retain, archive } = flags;
  const placed = placementCluster !== undefined || placementTag !== undefined;
  if (archive && !retain) throw new CliError("--archive goes with --retain.", EXIT.usage);
  return {
    ...(replicas !== undefined && { replicas: Number(replicas) }),
    ...(placed && {
      placement: {
        ...(placementCluster && { cluster: placementCluster }),
        ...(placementTag && { tags: placementTag }),
      },
    }),
    ...(retain && { retention: retain.length === 1 && retain[0] === "none" ? null : retentionOf(retain, archive) }),
  };
}

/** @param namespace - As if it had been said with --namespace. undefined: the command is about none. */
async function withNamespaces(
  command: Command,
  io: Io,
  namespace: string | undefined,
  work: (namespaces: Namespaces, nc: NatsConnection) => Promise<void>,
): Promise<void> {
  if (namespace !== undefined) command.parent!.parent!.setOptionValue("namespace", namespace);
  await withNats(command, io, async ({ nc }) => {
    const namespaces = await openNamespaces({ nats: nc });
    try {
      await work(namespaces, nc);
    } finally {
      await namespaces.close();
    }
  });
}

function print(io: Io, found: NamespaceInfo): void {
  const { namespace, partitions, replicas, placement, retention, createdAt, streams, missing } = found;
  const where = [
    placement?.cluster && `cluster ${placement.cluster}`,
    ...(placement?.tags ?? []).map((tag) => `tag ${tag}`),
  ];
  const lines = [
    ["namespace", namespace],
    ["created", stamp(createdAt)],
    ["partitions", `${partitions}`],
    ["replicas", `${replicas}`],
    ["placement", where.filter(Boolean).join(", ") || "any server"],
    ["retention", retention ? retentionText(retention) : "none: ended runs are kept"],
  ];
  io.out.write(`${lines.map(([name = "", value]) => `${name.padEnd(10)}  ${value}`).join("\n")}\n\n`);
  const titles = [
    { title: "STREAM" },
    { title: "MESSAGES", align: "right" as const },
    { title: "BYTES", align: "right" as const },
    { title: "LEADER" },
    { title: "LAGGING" },
  ];
  const rows = streams.map((one) => [
    one.name,
    one.messages.toLocaleString("en"),
    one.bytes.toLocaleString("en"),
    one.leader ?? "",
    one.lagging.join(", "),
  ]);
  io.out.write(`${table(titles, rows, io.out.columns)}\n`);
  if (missing.length > 0) io.out.write(`\nmissing: ${missing.join(", ")}; the next process that connects makes them\n`);
}

function retentionText({ rules, archive }: Retention): string {
  return `${rules.map(retentionRuleText).join("  ")}${archive ? "  (archived first)" : ""}`;
}
