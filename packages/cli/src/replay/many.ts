import type { NonDeterminismError } from "@stepstream/contracts";
import { replayRun } from "@stepstream/coordinator";
import type { AnyWorkflow, RunState } from "@stepstream/sdk";
import type { Bus } from "../connection.ts";
import { errorOf } from "../errors.ts";
import { CliError, EXIT, Exit } from "../exit.ts";
import type { Io } from "../io.ts";
import { painter } from "../print/colour.ts";
import { printLine } from "../print/json.ts";
import type { RunRow } from "../read-model/fold.ts";
import { defaultPath, synced } from "../read-model/sync.ts";
import { fromBus, workflowOf } from "./recorded.ts";

export interface ManyFlags {
  workflow?: string | undefined;
  status?: RunState[] | undefined;
  /** Epoch milliseconds. */
  since?: number | undefined;
  json?: boolean | undefined;
}

/** Histories that are read at a time, ahead of the replay. */
const AHEAD = 16;
const BAR = 30;

/**
 * Replays many runs against the code, before it is deployed. Without a state or a time: those that are not over.
 *
 * @throws {Exit} With code 1 if one diverges, with code 3 if there was none to check.
 */
export async function replayMany(
  workflows: ReadonlyMap<string, AnyWorkflow>,
  bus: Bus,
  io: Io,
  flags: ManyFlags,
): Promise<void> {
  const { store } = await synced(bus, defaultPath(io.env, bus.namespace), { signal: io.signal });
  const status = flags.status ?? (flags.since === undefined ? (["running", "parked"] as const) : undefined);
  const rows = store.list({
    workflow: flags.workflow,
    status,
    since: flags.since,
    builtin: true,
    limit: Number.MAX_SAFE_INTEGER,
  });
  store.close();
  const paint = painter(io, io.out);
  const counts = { same: 0, diverges: 0, unknown: 0, unreadable: 0 };
  const unknown = new Map<string, number>();
  let done = 0;
  let passedOver = 0;
  const reading = rows.slice(0, AHEAD).map(read);
  function read({ run, startedSeq }: RunRow) {
    const reading = fromBus(bus.log, run, { fromSeq: startedSeq });
    reading.catch(() => {});
    return reading;
  }
  for (const [at, { run, workflow: name, version }] of rows.entries()) {
    io.signal.throwIfAborted();
    const next = rows[at + AHEAD];
    if (next) reading.push(read(next));
    const verdict = await check(reading.shift()!);
    counts[verdict.is]++;
    passedOver += verdict.skipped ?? 0;
    done++;
    if (verdict.is === "unknown") unknown.set(`${name}@${version}`, (unknown.get(`${name}@${version}`) ?? 0) + 1);
    clearBar(io);
    if (flags.json)
      printLine(io, {
        run,
        workflow: `${name}@${version}`,
        verdict: verdict.is,
        ...(verdict.skipped && { skipped: verdict.skipped }),
        ...(verdict.error && { error: errorOf(verdict.error) }),
      });
    else if (verdict.error)
      io.out.write(`${paint("red", verdict.is)}  ${run}  ${name}@${version}\n${sides(verdict.error)}\n`);
    drawBar(io, done, rows.length);
  }
  clearBar(io);

  async function check(
    history: ReturnType<typeof fromBus>,
  ): Promise<{ is: keyof typeof counts; error?: Error; skipped?: number }> {
    try {
      const recorded = await history;
      const workflow = workflows.get(workflowOf(recorded));
      const skipped = recorded.skipped.length;
      if (!workflow) return { is: "unknown", skipped };
      const fault = await replayRun(workflow, recorded);
      return fault ? { is: "diverges", error: fault, skipped } : { is: "same", skipped };
    } catch (error) {
      return { is: "unreadable", error: error as Error };
    }
  }

  const { same, diverges, unreadable } = counts;
  const summary = [
    `${same.toLocaleString("en")} fit`,
    `${diverges.toLocaleString("en")} would not go on`,
    ...(unreadable > 0 ? [`${unreadable} cannot be read`] : []),
    ...(passedOver > 0 ? [`${passedOver.toLocaleString("en")} messages passed over that cannot be read`] : []),
    ...[...unknown].map(
      ([workflow, count]) => `${count.toLocaleString("en")} of ${workflow}, which these modules do not have`,
    ),
  ].join(" · ");
  (flags.json ? io.err : io.out).write(`${summary}\n`);
  if (diverges + unreadable > 0) throw new Exit(EXIT.no);
  if (same === 0) {
    throw new CliError(
      "There was nothing to check: look at the namespace, --workflow, --status and --since.",
      EXIT.notFound,
    );
  }
}

function sides(error: Error): string {
  const { recorded, replayed } = error as NonDeterminismError;
  if (!("recorded" in error)) return `  ${error.message}`;
  const side = (value: unknown) => (value === undefined ? "nothing more" : JSON.stringify(value));
  return `  recorded  ${side(recorded)}\n  the code  ${side(replayed)}`;
}

function drawBar(io: Io, done: number, all: number): void {
  if (!io.err.isTTY) return;
  const filled = Math.round((BAR * done) / all);
  io.err.write(
    `[${"█".repeat(filled)}${"░".repeat(BAR - filled)}] ${done.toLocaleString("en")} of ${all.toLocaleString("en")}`,
  );
}

function clearBar(io: Io): void {
  if (io.err.isTTY) io.err.write("\r\x1b[K");
}
