import { RunAlreadyExistsError } from "@stepstream/contracts";
import type { EventLog } from "@stepstream/event-log";
import { workflow } from "@stepstream/sdk";
import type { Command } from "commander";
import { z } from "zod";
import type { Flags } from "../commands/start.ts";
import { type Bus, withBus } from "../connection.ts";
import { CliError, EXIT } from "../exit.ts";
import type { Io } from "../io.ts";
import { readJson } from "../json.ts";
import { painter } from "../print/colour.ts";
import { printLine } from "../print/json.ts";
import { rollCall } from "../roll-call.ts";
import { printResult } from "./result.ts";

export async function start(command: Command, io: Io, said: string, flags: Flags): Promise<void> {
  await withBus(command, io, (bus) => startRun(bus, io, said, flags));
}

async function startRun(bus: Bus, io: Io, said: string, flags: Flags): Promise<void> {
  const input = await readJson("--input", flags.input, io);
  const { name, version } = await workflowOf(bus.log, said);
  const client = await bus.client();
  const run = await client
    .start(nameless(name, version), input, {
      ...(flags.id !== undefined && { id: flags.id }),
      ...(flags.delay !== undefined && { delay: flags.delay }),
      ...(flags.timeout !== undefined && { timeout: flags.timeout }),
      onConflict: flags.onConflict,
    })
    .catch((error: unknown) => {
      if (!(error instanceof RunAlreadyExistsError)) throw error;
      const hint = "Choose another --id, or follow that run with --on-conflict attach.";
      throw new CliError(`Run ${flags.id} exists already; nothing was started. ${hint}`, EXIT.state);
    });
  // --timeout is the run's: its end, late as it may come, is what is waited for.
  if (flags.wait) return printResult(bus, io, run.id, { json: flags.json ?? false });
  const { traceId } = await run.status();
  if (flags.json) printLine(io, { run: run.id, workflow: name, version, traceId });
  else io.out.write(`${run.id}\n`);
  const paint = painter(io, io.err);
  if (io.err.isTTY) io.err.write(paint("gray", `see it: stepstream watch ${run.id}\n`));
}

/** A workflow as far as one knows it without its code: the coordinator checks the input. */
export function nameless(name: string, version: number) {
  return workflow(name, { input: z.unknown(), output: z.unknown(), version }, async () => undefined);
}

/**
 * What was meant by `name`, or `name@version`. Without a version: the highest that a coordinator runs just now.
 *
 * @throws {CliError} No coordinator that is up runs it.
 */
export async function workflowOf(log: EventLog, said: string): Promise<{ name: string; version: number }> {
  const [name = "", version, ...rest] = said.split("@");
  if (rest.length > 0 || (version !== undefined && !/^[1-9]\d{0,8}$/.test(version)))
    throw new CliError(`"${said}" is no workflow: write name, or name@version.`, EXIT.usage);
  if (version !== undefined) return { name, version: Number(version) };
  const hosted = [
    ...new Set([...(await rollCall(log)).coordinators.values()].flatMap(({ workflows }) => workflows)),
  ].sort();
  const versions = hosted.filter((one) => one.startsWith(`${name}@`)).map((one) => Number(one.split("@")[1]));
  if (versions.length > 0) return { name, version: Math.max(...versions) };
  const known = hosted.filter((one) => !one.startsWith("_"));
  throw new CliError(
    `No coordinator that is up runs workflow "${name}"${known.length > 0 ? `; they run ${known.join(", ")}` : ""}. ` +
      `To start it for one that comes later, say the version: ${name}@1.`,
    EXIT.state,
  );
}
