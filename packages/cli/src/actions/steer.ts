import type { Duration } from "@stepstream/contracts";
import type { BulkOptions, Client } from "@stepstream/sdk";
import type { Command } from "commander";
import { withBus } from "../connection.ts";
import { CliError, EXIT, Exit } from "../exit.ts";
import type { Io } from "../io.ts";
import type { ManyFlags } from "../many-options.ts";
import { did } from "../print/did.ts";
import { printLine } from "../print/json.ts";
import { isForOne, many } from "./many.ts";

const GOING = ["running", "parked"] as const;
const OVER = ["completed", "failed", "cancelled", "terminated"] as const;

export interface CancelFlags extends ManyFlags {
  reason?: string;
  grace?: Duration;
  cleanupDeadline?: Duration;
  wait?: boolean;
}

export async function cancel(command: Command, io: Io, runs: string[], flags: CancelFlags): Promise<void> {
  const { reason, grace, cleanupDeadline, wait } = flags;
  const options = { ...defined({ reason, grace, cleanupDeadline }), ...timeoutOf(flags) };
  const one = isForOne({ verb: "cancel" }, runs, flags);
  if (wait && !one) throw new CliError("--wait is for one run.", EXIT.usage);
  await withBus(command, io, async (bus) => {
    if (!one) return many(bus, io, { verb: "cancel", done: "asked to stop", states: GOING, act }, runs, flags);
    const [run = ""] = runs;
    const handle = (await bus.client()).get(run);
    await handle.cancel({ ...options, signal: io.signal });
    if (!wait) return did(io, `run ${run} is asked to stop`, { run, done: "cancel" });
    if (!io.json) io.err.write(`run ${run} is asked to stop\n`);
    await handle.result({ signal: io.signal }).catch(() => {});
    io.signal.throwIfAborted();
    const { status } = await handle.status();
    did(io, `run ${run} is ${status}`, { run, done: "cancel", status });
    if (status !== "cancelled") throw new Exit(EXIT.no);
  });
  function act(client: Client, ids: readonly string[], bulk: BulkOptions) {
    return client.cancelMany(ids, { ...options, ...bulk });
  }
}

export async function terminate(
  command: Command,
  io: Io,
  runs: string[],
  flags: ManyFlags & { reason?: string },
): Promise<void> {
  const options = { ...defined({ reason: flags.reason }), ...timeoutOf(flags) };
  const one = isForOne({ verb: "terminate" }, runs, flags);
  await withBus(command, io, async (bus) => {
    const act = (client: Client, ids: readonly string[], bulk: BulkOptions) =>
      client.terminateMany(ids, { ...options, ...bulk });
    if (!one) return many(bus, io, { verb: "terminate", done: "terminated", states: GOING, act }, runs, flags);
    const [run = ""] = runs;
    await (await bus.client()).get(run).terminate({ ...options, signal: io.signal });
    did(io, `run ${run} is terminated`, { run, done: "terminate" });
  });
}

export async function remove(command: Command, io: Io, runs: string[], flags: ManyFlags): Promise<void> {
  const options = timeoutOf(flags);
  const one = isForOne({ verb: "delete" }, runs, flags);
  await withBus(command, io, async (bus) => {
    const act = (client: Client, ids: readonly string[], bulk: BulkOptions) =>
      client.deleteMany(ids, { ...options, ...bulk });
    if (!one) return many(bus, io, { verb: "delete", done: "deleted", states: OVER, act }, runs, flags);
    const [run = ""] = runs;
    await (await bus.client()).get(run).delete(options);
    did(io, `run ${run} is deleted`, { run, done: "delete" });
  });
}

export async function retry(
  command: Command,
  io: Io,
  runs: string[],
  flags: ManyFlags & { id?: string },
): Promise<void> {
  const options = timeoutOf(flags);
  const one = isForOne({ verb: "retry" }, runs, flags);
  if (flags.id !== undefined && !one) throw new CliError("--id is for one run.", EXIT.usage);
  await withBus(command, io, async (bus) => {
    const act = (client: Client, ids: readonly string[], bulk: BulkOptions) =>
      client.retryMany(ids, { ...options, ...bulk });
    if (!one) return many(bus, io, { verb: "retry", done: "started again", states: ["failed"], act }, runs, flags);
    const [run = ""] = runs;
    const { id } = await (await bus.client()).get(run).retry({ ...options, ...defined({ id: flags.id }) });
    if (io.json) printLine(io, { run, done: "retry", started: id });
    else io.out.write(`${id}\n`);
  });
}

function timeoutOf({ timeout }: ManyFlags): { timeout?: Duration } {
  return timeout === undefined ? {} : { timeout: timeout as Duration };
}

function defined<T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}
