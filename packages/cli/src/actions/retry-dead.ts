import {
  decode,
  fromWire,
  InboxMessage,
  RunAlreadyExistsError,
  RunNotFoundError,
  type RunStarted,
} from "@stepstream/contracts";
import type { RunStatus } from "@stepstream/sdk";
import type { Command } from "commander";
import { type Bus, withBus } from "../connection.ts";
import { CliError, EXIT } from "../exit.ts";
import type { Io } from "../io.ts";
import { printLine } from "../print/json.ts";
import { type Buried, readOne } from "./dead.ts";
import { nameless } from "./start.ts";

const RUN_ID_MAX = 64;

/** Starts the runs of dead letters again. One that cannot be keeps none of those before it from having been. */
export async function deadRetry(command: Command, io: Io, seqs: string[], flags: { json?: boolean }): Promise<void> {
  await withBus(command, io, async (bus) => {
    const letters = await Promise.all(seqs.map((seq) => readOne(bus, seq)));
    for (const letter of letters) {
      const { id, run, started } = await retry(bus, letter);
      if (flags.json) printLine(io, { seq: letter.seq, run: id, of: run, started });
      else {
        io.out.write(`${id}\n`);
        if (!started) io.err.write(`Dead letter ${letter.seq} was retried before: that is its run.\n`);
      }
    }
  });
}

async function retry(bus: Bus, letter: Buried): Promise<{ id: string; run: string; started: boolean }> {
  const { seq, run, slot } = letter;
  const nothing = (why: string, exit: CliError["exitCode"] = EXIT.state) =>
    new CliError(`Dead letter ${seq} cannot be retried; nothing was started. ${why}`, exit);
  if (run === undefined) throw nothing("Its subject names no run: see its message with stepstream dead show.");
  if (slot === undefined)
    throw nothing(`It is a message to run ${run} that could not be read, and no step: send it again, as it should be.`);
  const client = await bus.client();
  let status: RunStatus;
  try {
    status = await client.get(run).status();
  } catch (error) {
    if (!(error instanceof RunNotFoundError)) throw error;
    throw nothing(`Run ${run} is deleted, and its input with it.`, EXIT.notFound);
  }
  if (status.status === "completed") throw nothing(`Run ${run} has completed in spite of it.`);
  if (status.status === "running" || status.status === "parked")
    throw nothing(`Run ${run} has not ended: it may still handle that. Stop it first: stepstream cancel ${run} --wait`);
  if (status.parent)
    throw nothing(`Run ${run} is a child of run ${status.parent.run}: start that one again, with stepstream start.`);
  const start = await startOf(bus, run);
  if (!start) throw nothing(`The message that started run ${run} is gone, or cannot be read.`, EXIT.notFound);
  const input = fromWire(undefined, start.input);
  if (!input.ok) throw nothing(`The input of run ${run} cannot be read: ${input.message}.`);
  const suffix = `-retry-${seq}`;
  const id = run.slice(0, RUN_ID_MAX - suffix.length) + suffix;
  try {
    await client.start(nameless(start.workflow, start.version), input.value, {
      id,
      ...(start.timeoutMs !== undefined && { timeout: start.timeoutMs }),
    });
    return { id, run, started: true };
  } catch (error) {
    if (!(error instanceof RunAlreadyExistsError)) throw error;
    return { id, run, started: false };
  }
}

async function startOf({ log }: Bus, run: string): Promise<RunStarted | undefined> {
  const [first] = await log.read(log.subjects.inbox(run), { fresh: true });
  try {
    const message = first && decode(InboxMessage, first.text, first.subject);
    return message?.type === "RunStarted" ? message : undefined;
  } catch {
    return undefined;
  }
}
