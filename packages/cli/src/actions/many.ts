import { createInterface } from "node:readline";
import type { BulkOptions, BulkOutcome, BulkReport, Client, RunState } from "@stepstream/sdk";
import type { Bus } from "../connection.ts";
import { errorOf, lines } from "../errors.ts";
import { CliError, EXIT, Exit } from "../exit.ts";
import type { Io } from "../io.ts";
import type { ManyFlags } from "../many-options.ts";
import { painter } from "../print/colour.ts";
import { printLine } from "../print/json.ts";
import { progressBar } from "../print/progress.ts";
import { took } from "../print/time.ts";
import type { RunRow } from "../read-model/fold.ts";
import { defaultPath, synced } from "../read-model/sync.ts";
import { timeOf } from "../time-option.ts";
import { whole } from "../whole.ts";

/** Something that is done to runs. */
export interface Deed {
  /** "cancel" */
  readonly verb: string;
  /** "cancelled" */
  readonly done: string;
  /** The states of the runs that a filter without one means. */
  readonly states: readonly RunState[];
  act(client: Client, runs: readonly string[], options: BulkOptions): Promise<BulkReport>;
}

/** Failures that are printed; the others are counted. */
const SHOWN = 20;
/** Runs that a preview names. */
const NAMED = 5;

/** Whether a command is for one run, by its id and nothing else. @throws {CliError} It is for none. */
export function isForOne(deed: Pick<Deed, "verb">, runs: readonly string[], flags: ManyFlags): boolean {
  const chosen = isChosen(flags);
  if (runs.length === 0 && !chosen)
    throw new CliError(
      `Which runs? Name them, choose them with --workflow, --status, --since, --until or --parent, or ${deed.verb} --all.`,
      EXIT.usage,
    );
  if (runs.length > 0 && chosen)
    throw new CliError("Runs are either named or chosen with --workflow, --status, … and --all: not both.", EXIT.usage);
  return runs.length === 1 && !flags.dryRun;
}

function isChosen({ workflow, status, since, until, parent, all }: ManyFlags): boolean {
  return [workflow, status, since, until, parent, all].some((said) => said !== undefined);
}

/**
 * Does something to several runs: says which, asks, shows how far it is, and reports what became of them.
 *
 * @throws {Exit} One or more failed, or it was stopped: exit code 1.
 */
export async function many(bus: Bus, io: Io, deed: Deed, named: readonly string[], flags: ManyFlags): Promise<void> {
  const perSecond = whole("--rate", flags.rate);
  const rows = named.length > 0 ? undefined : await chosen(bus, io, deed, flags);
  const runs = rows ? rows.map(({ run }) => run) : [...new Set(named)];
  if (flags.dryRun) return preview(io, runs, rows, deed);
  if (runs.length === 0) return report(io, deed, runs, { done: 0, skipped: 0, failed: 0 }, [], 0);
  if (rows && !flags.yes) await confirm(io, deed, rows);
  else if (rows && !io.json) io.err.write(`${summaryOf(deed, rows)}\n`);

  const failures: Extract<BulkOutcome, { error: Error }>[] = [];
  const bar = progressBar(io, runs.length);
  const begin = io.now();
  const client = await bus.client();
  const counts = { done: 0, skipped: 0, failed: 0 };
  // After Ctrl-C nothing is waited for; but what has been done is said.
  io.signal.addEventListener(
    "abort",
    () => {
      bar.end();
      const stopped = new Error("interrupted; what is under way may still be done");
      report(io, deed, runs, { ...counts, stopped }, failures, io.now() - begin);
    },
    { once: true },
  );
  const acted = await deed.act(client, runs, {
    perSecond,
    signal: io.signal,
    onOutcome(outcome) {
      if (io.signal.aborted) return;
      counts[outcome.status]++;
      if (io.json) print(io, deed, outcome);
      if (outcome.status === "failed") failures.push(outcome);
      bar.at(counts.done + counts.skipped + counts.failed, counts.failed);
    },
  });
  io.signal.throwIfAborted();
  bar.end();
  report(io, deed, runs, acted, failures, io.now() - begin);
  if (acted.failed > 0 || acted.stopped) throw new Exit(EXIT.no);
}

async function chosen(bus: Bus, io: Io, deed: Deed, flags: ManyFlags): Promise<RunRow[]> {
  const { workflow, status = [...deed.states], parent, builtin } = flags;
  const wanted = {
    workflow,
    status,
    parent,
    builtin: builtin || parent !== undefined,
    since: flags.since === undefined ? undefined : timeOf("--since", flags.since, io.now()),
    until: flags.until === undefined ? undefined : timeOf("--until", flags.until, io.now()),
    limit: Number.MAX_SAFE_INTEGER,
  };
  const { store } = await synced(bus, defaultPath(io.env, bus.namespace), { signal: io.signal });
  try {
    return store.list(wanted);
  } finally {
    store.close();
  }
}

// ---------------------------------------------------------------- before

function preview(io: Io, runs: readonly string[], rows: readonly RunRow[] | undefined, deed: Deed): void {
  for (const run of runs) {
    const row = rows?.find((one) => one.run === run);
    if (io.json)
      printLine(io, { run, ...(row && { workflow: row.workflow, version: row.version, status: row.status }) });
    else io.out.write(`${row ? `${run}  ${row.workflow}@${row.version}  ${row.status}` : run}\n`);
  }
  if (!io.json) io.err.write(`${countOf(runs.length)} would be ${deed.done}; nothing was done\n`);
}

/** What is about to be done, for people. */
function summaryOf(deed: Deed, rows: readonly RunRow[]): string {
  const byState = counted(rows.map(({ status }) => status));
  const byWorkflow = counted(rows.map(({ workflow, version }) => `${workflow}@${version}`));
  const named = rows.slice(0, NAMED).map(({ run }) => run);
  const more = rows.length > NAMED ? ", …" : "";
  return [
    `${deed.verb} ${countOf(rows.length)}: ${byState}`,
    `  of ${byWorkflow}`,
    `  ${named.join(", ")}${more}`,
  ].join("\n");
}

function counted(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  const shown = sorted.slice(0, NAMED).map(([name, count]) => `${count.toLocaleString("en")} ${name}`);
  return [...shown, ...(sorted.length > NAMED ? [`${sorted.length - NAMED} more`] : [])].join(", ");
}

/** @throws {CliError} The answer is no; or there is no terminal. */
async function confirm(io: Io, deed: Deed, rows: readonly RunRow[]): Promise<void> {
  const summary = summaryOf(deed, rows);
  if (!io.err.isTTY || io.json)
    throw new CliError(`${summary}\nNothing was done: use --yes to do it, or --dry-run to see which.`, EXIT.usage);
  io.err.write(`${summary}\nGo ahead? [y/N] `);
  const reader = createInterface({ input: io.in });
  const answer = Promise.withResolvers<string>();
  reader.once("line", answer.resolve).once("close", () => answer.resolve(""));
  io.signal.addEventListener("abort", () => answer.reject(io.signal.reason), { once: true });
  try {
    if (!/^y(es)?$/i.test((await answer.promise).trim())) throw new CliError("Nothing was done.", EXIT.no);
  } finally {
    reader.close();
  }
}

// ---------------------------------------------------------------- after

function print(io: Io, deed: Deed, outcome: BulkOutcome): void {
  const { id: run, status } = outcome;
  if (status === "done")
    printLine(io, { run, done: deed.verb, ...(outcome.started !== undefined && { started: outcome.started }) });
  else printLine(io, { run, [status]: true, error: errorOf(outcome.error) });
}

function report(
  io: Io,
  deed: Deed,
  runs: readonly string[],
  { done, skipped, failed, stopped }: BulkReport,
  failures: readonly Extract<BulkOutcome, { error: Error }>[],
  ms: number,
): void {
  const untried = runs.length - done - skipped - failed;
  if (io.json) {
    const why = stopped && { stopped: errorOf(stopped) };
    return printLine(io, { runs: runs.length, done, skipped, failed, untried, tookMs: ms, ...why });
  }
  const paint = painter(io, io.err);
  for (const { id, error } of failures.slice(0, SHOWN))
    io.err.write(`${paint("red", "failed:")} ${id}: ${lines(error)[0]}\n`);
  if (failures.length > SHOWN) io.err.write(`… and ${failures.length - SHOWN} more; --json prints all\n`);
  if (stopped) io.err.write(`stopped: ${lines(stopped)[0]}\n`);
  const rest = [
    skipped > 0 && `${skipped.toLocaleString("en")} skipped, whose state does not allow it`,
    failed > 0 && `${failed.toLocaleString("en")} failed`,
    untried > 0 && `${untried.toLocaleString("en")} not tried`,
  ].filter((text) => text !== false);
  const all =
    runs.length === 0
      ? "no run fits"
      : `${done.toLocaleString("en")} of ${countOf(runs.length)} ${deed.done} in ${took(ms)}`;
  io.err.write(`${[all, ...rest].join("; ")}\n`);
}

function countOf(runs: number): string {
  return runs === 1 ? "1 run" : `${runs.toLocaleString("en")} runs`;
}
