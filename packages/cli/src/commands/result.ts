import type { Duration } from "@stepstream/contracts";
import type { RunStatus } from "@stepstream/sdk";
import type { Command } from "commander";
import { type Bus, withBus } from "../connection.ts";
import { EXIT, Exit, lines } from "../errors.ts";
import type { Io } from "../io.ts";
import { compact, pretty } from "../json.ts";
import { painter, stateStyle } from "../print/colour.ts";
import { took } from "../print/time.ts";

const EXAMPLES = `
Examples:
  $ stepstream result order-1
  $ stepstream result order-1 --no-wait        exit code 5 if it is not over yet
  $ stepstream result order-1 --json | jq .status`;

interface Flags {
  wait?: boolean;
  timeout?: Duration;
  json?: boolean;
}

export function addResult(program: Command, io: Io): void {
  program
    .command("result <run>")
    .description("wait for the end of a run and print its output")
    .option("--no-wait", "do not wait")
    .option("--timeout <duration>", "how long to wait for the end (default: as long as it takes)")
    .option("--json", "print the outcome as JSON, whatever it is")
    .addHelpText("after", EXAMPLES)
    .action((run: string, flags: Flags, command: Command) =>
      withBus(command, io, async (bus) => {
        if (flags.wait === false) await mustBeOver(bus, io, run);
        await printResult(bus, io, run, flags);
      }),
    );
}

async function mustBeOver(bus: Bus, io: Io, run: string): Promise<void> {
  const { status } = await bus.client.get(run).status();
  if (status !== "running" && status !== "parked") return;
  io.err.write(`Run ${run} is not over: it is ${status}.\n`);
  throw new Exit(EXIT.state);
}

/** Waits for the end; prints the output on `out`, or why there is none on `err`, and then ends with code 1. */
export async function printResult(
  bus: Bus,
  io: Io,
  run: string,
  flags: { json?: boolean; timeout?: Duration },
): Promise<void> {
  const handle = bus.client.get(run);
  const { timeout } = flags;
  const ended = await handle.result({ signal: io.signal, ...(timeout !== undefined && { timeout }) }).then(
    (output) => ({ output }),
    (error: Error) => ({ error }),
  );
  io.signal.throwIfAborted();
  const status = await handle.status();
  // It is not over: what was thrown is about the wait, and no outcome.
  if ("error" in ended && (status.status === "running" || status.status === "parked")) throw ended.error;
  if (flags.json) io.out.write(`${compact(asJson(status, ended))}\n`);
  else if ("error" in ended) io.err.write(`${verdict(io, status)}: ${lines(ended.error).join("\n  because: ")}\n`);
  else if (ended.output !== undefined) io.out.write(`${pretty(ended.output)}\n`);
  if ("error" in ended) throw new Exit(EXIT.no);
}

function asJson(status: RunStatus, ended: { output?: unknown } | { error: Error }) {
  const { id, workflow, version, startedAt, endedAt, traceId } = status;
  const output = "output" in ended && ended.output !== undefined ? { output: ended.output } : {};
  const error = "error" in ended ? { error: status.error ?? { message: ended.error.message } } : {};
  return { run: id, status: status.status, workflow, version, startedAt, endedAt, traceId, ...output, ...error };
}

function verdict(io: Io, status: RunStatus): string {
  const { id, startedAt, endedAt = startedAt } = status;
  const state = painter(io, io.err)(stateStyle(status.status), status.status);
  return `run ${id} ${state} after ${took(endedAt - startedAt)}`;
}
