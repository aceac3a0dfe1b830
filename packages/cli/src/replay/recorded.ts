import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Decision, decode, decodeInbox, fromStart, isOfNewerVersion } from "@stepstream/contracts";
import type { RecordedRun } from "@stepstream/coordinator";
import type { EventLog, ReadOptions, Stored } from "@stepstream/event-log";
import { type HistoryEntry, RunNotFoundError } from "@stepstream/sdk";
import { CliError, EXIT } from "../exit.ts";

/** A history, and what of it was passed over because it cannot be read: to the run that never happened. */
export interface Recorded extends RecordedRun {
  readonly skipped: readonly { seq: number; why: string }[];
}

/**
 * The history of a run, from the bus.
 *
 * @param options - How it is read. Default: fresh, for one that may be changing just now. Where many are read, the stream
 * sequence of the start (`fromSeq`) saves the server the search.
 * @throws {RunNotFoundError} Nothing is stored under this id.
 * @throws {MalformedMessageError} A decision cannot be read: without it the run is not known.
 */
export async function fromBus(log: EventLog, run: string, options: ReadOptions = { fresh: true }): Promise<Recorded> {
  const { subjects } = log;
  const [inbox, journal] = await Promise.all([
    log.read(subjects.inbox(run), options),
    log.read(subjects.journal(run), options),
  ]);
  if (inbox.length === 0) throw new RunNotFoundError(run, subjects.namespace);
  const skipped: { seq: number; why: string }[] = [];
  const skip = (seq: number, error: unknown) => {
    skipped.push({ seq, why: (error as Error).message });
    return [];
  };
  const received = ({ subject, seq, at, text }: Stored) => {
    try {
      return [{ seq, at, message: decodeInbox(subject, text, `${subject} #${seq}`) }];
    } catch (error) {
      return skip(seq, error);
    }
  };
  const decided = ({ subject, seq, text }: Stored) => {
    try {
      return [decode(Decision, text, `${subject} #${seq}`)];
    } catch (error) {
      // As coordinators do: what does not say that it is a decision counts for nothing.
      if (isOfNewerVersion(error) || text.includes('"type":"Decision"')) throw error;
      return skip(seq, error);
    }
  };
  return {
    run,
    inbox: fromStart(inbox).flatMap(received),
    decisions: journal.flatMap(decided),
    skipped,
  };
}

/** The history of a run, from a file that `stepstream history --export` or `exportRun` has written. */
export async function fromFile(file: string, cwd: string): Promise<Recorded> {
  const path = resolve(cwd, file);
  const text = await readFile(path, "utf8").catch((cause) => {
    throw new CliError(`${path} cannot be read.`, EXIT.usage, { cause });
  });
  let said: { run?: string; history?: HistoryEntry[] };
  try {
    said = JSON.parse(text);
  } catch (cause) {
    throw new CliError(`${path} is no JSON.`, EXIT.usage, { cause });
  }
  const { run, history } = said;
  if (!run || !Array.isArray(history))
    throw new CliError(
      `${path} holds no {"run": …, "history": […]}: stepstream history <run> --export makes one.`,
      EXIT.usage,
    );
  return {
    run,
    inbox: history.flatMap((entry) => (entry.kind === "inbox" ? [entry] : [])),
    decisions: history.flatMap((entry) => (entry.kind === "journal" ? [entry.message] : [])),
    skipped: history.flatMap((entry) =>
      entry.kind === "malformed" ? [{ seq: entry.seq, why: entry.error?.message ?? "it cannot be read" }] : [],
    ),
  };
}

/** `<name>@<version>` of the workflow that the run is of. @throws {CliError} The history has no beginning. */
export function workflowOf({ run, inbox }: RecordedRun): string {
  const started = inbox[0]?.message;
  if (started?.type === "RunStarted") return `${started.workflow}@${started.version}`;
  throw new CliError(`The history of run ${run} does not begin with its start.`, EXIT.no);
}
