import { type Duration, RunAlreadyExistsError } from "@stepstream/contracts";
import type { EventLog } from "@stepstream/event-log";
import { type OnConflict, workflow } from "@stepstream/sdk";
import { type Command, Option } from "commander";
import { z } from "zod";
import { type Bus, withBus } from "../connection.ts";
import { CliError, EXIT } from "../errors.ts";
import type { Io } from "../io.ts";
import { readJson } from "../json.ts";
import { painter } from "../print/colour.ts";
import { rollCall } from "../roll-call.ts";
import { printResult } from "./result.ts";

interface Flags {
  input?: string;
  id?: string;
  onConflict: OnConflict;
  delay?: Duration;
  timeout?: Duration;
  wait?: boolean;
  json?: boolean;
}

const EXAMPLES = `
Examples:
  $ stepstream start order --input '{"orderId":"1","cents":995}' --id order-1
  $ stepstream start order --input @order.json --wait
  $ echo '[1,2,3]' | stepstream start sum --input - --wait | jq .
  $ stepstream start report@2 --delay 1h --timeout 2h      default: the highest version that a coordinator runs now

The input is checked by the coordinator; a run whose input does not fit fails with INVALID_INPUT.`;

export function addStart(program: Command, io: Io): void {
  program
    .command("start <workflow>")
    .description("start a run; <workflow> is a name, or name@version")
    .option("-i, --input <json>", "its input: JSON, @file, or - for standard input (default: none)")
    .option("--id <id>", "its id, and its idempotency key (default: a random one)")
    .addOption(
      new Option("--on-conflict <how>", "if there is a run with this id")
        .choices(["reject", "attach", "terminate"])
        .default("reject"),
    )
    .option("--delay <duration>", "begin so long after the start, e.g. 10m")
    .option("--timeout <duration>", "fail if it has not ended in this time")
    .option("-w, --wait", "wait for the end and print the output; exit code 1 if it fails")
    .option("--json", "print what was started as JSON; with --wait, the outcome")
    .addHelpText("after", EXAMPLES)
    .action((name: string, flags: Flags, command: Command) =>
      withBus(command, io, (bus) => start(bus, io, name, flags)),
    );
}

async function start(bus: Bus, io: Io, said: string, flags: Flags): Promise<void> {
  const input = await readJson("--input", flags.input, io);
  const { name, version } = await workflowOf(bus.log, said);
  const run = await bus.client
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
  io.out.write(`${flags.json ? JSON.stringify({ run: run.id, workflow: name, version, traceId }) : run.id}\n`);
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
  const hosted = [...new Set([...(await rollCall(log)).coordinators.values()].flat())].sort();
  const versions = hosted.filter((one) => one.startsWith(`${name}@`)).map((one) => Number(one.split("@")[1]));
  if (versions.length > 0) return { name, version: Math.max(...versions) };
  const known = hosted.filter((one) => !one.startsWith("_"));
  throw new CliError(
    `No coordinator that is up runs workflow "${name}"${known.length > 0 ? `; they run ${known.join(", ")}` : ""}. ` +
      `To start it for one that comes later, say the version: ${name}@1.`,
    EXIT.state,
  );
}
