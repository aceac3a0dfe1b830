import { checkDuration, type Duration, encodeValue } from "@stepstream/contracts";
import type { RunStatus } from "@stepstream/sdk";
import type { Command } from "commander";
import type { Flags } from "../commands/result.ts";
import { type Bus, withBus } from "../connection.ts";
import { errorOf, lines } from "../errors.ts";
import { CliError, EXIT, Exit } from "../exit.ts";
import type { Io } from "../io.ts";
import { pretty } from "../json.ts";
import { painter, stateStyle } from "../print/colour.ts";
import { printLine } from "../print/json.ts";
import { took } from "../print/time.ts";

export async function result(command: Command, io: Io, run: string, flags: Flags): Promise<void> {
  await withBus(command, io, async (bus) => {
    if (flags.wait === false) await mustBeOver(bus, io, run);
    await printResult(bus, io, run, flags);
  });
}

async function mustBeOver(bus: Bus, _io: Io, run: string): Promise<void> {
  const { status } = await (await bus.client()).get(run).status();
  if (status !== "running" && status !== "parked") return;
  throw new CliError(`Run ${run} is not over: it is ${status}.`, EXIT.state);
}

/** Waits for the end; prints the output on `out`, or why there is none on `err`, and then ends with code 1. */
export async function printResult(
  bus: Bus,
  io: Io,
  run: string,
  flags: { json?: boolean; timeout?: Duration },
): Promise<void> {
  const handle = (await bus.client()).get(run);
  const { timeout } = flags;
  // What is thrown about the wait must not pass for an outcome.
  if (timeout !== undefined) checkDuration("timeout", timeout, { min: 1 });
  const ended = await handle.result({ signal: io.signal, ...(timeout !== undefined && { timeout }) }).then(
    (output) => ({ output }),
    (error: Error) => ({ error }),
  );
  io.signal.throwIfAborted();
  const status = await handle.status();
  // It is not over: what was thrown is about the wait, and no outcome.
  if ("error" in ended && (status.status === "running" || status.status === "parked")) throw ended.error;
  if (flags.json) printLine(io, asJson(status, ended));
  else if ("error" in ended) io.err.write(`${verdict(io, status)}: ${lines(ended.error).join("\n  because: ")}\n`);
  else if (ended.output !== undefined) io.out.write(`${pretty(ended.output)}\n`);
  if ("error" in ended) throw new Exit(EXIT.no);
}

function asJson(status: RunStatus, ended: { output?: unknown } | { error: Error }) {
  const { id, workflow, version, startedAt, endedAt, traceId } = status;
  const output = "output" in ended && ended.output !== undefined ? { output: encodeValue(ended.output) } : {};
  const error = "error" in ended ? { error: status.error ?? errorOf(ended.error) } : {};
  return { run: id, status: status.status, workflow, version, startedAt, endedAt, traceId, ...output, ...error };
}

function verdict(io: Io, status: RunStatus): string {
  const { id, startedAt, endedAt = startedAt } = status;
  const state = painter(io, io.err)(stateStyle(status.status), status.status);
  return `run ${id} ${state} after ${took(endedAt - startedAt)}`;
}
