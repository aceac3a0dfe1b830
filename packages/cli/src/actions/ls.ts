import type { RunState } from "@stepstream/sdk";
import type { Command } from "commander";
import type { Flags } from "../commands/ls.ts";
import { type Bus, withBus } from "../connection.ts";
import type { Io } from "../io.ts";
import { painter, stateStyle } from "../print/colour.ts";
import { printLine } from "../print/json.ts";
import { oneLine, table } from "../print/table.ts";
import { ago, took } from "../print/time.ts";
import type { RunRow } from "../read-model/fold.ts";
import type { RunStore } from "../read-model/store.ts";
import { defaultPath, synced } from "../read-model/sync.ts";
import { STATES } from "../states.ts";
import { timeOf } from "../time-option.ts";
import { whole } from "../whole.ts";

export async function ls(command: Command, io: Io, flags: Flags): Promise<void> {
  await withBus(command, io, (bus) => list(bus, io, flags));
}

async function list(bus: Bus, io: Io, flags: Flags): Promise<void> {
  const limit = whole("--limit", flags.limit);
  const wanted = {
    workflow: flags.workflow,
    status: flags.status,
    parent: flags.parent,
    builtin: flags.builtin || flags.parent !== undefined,
    since: flags.since === undefined ? undefined : timeOf("--since", flags.since, io.now()),
    until: flags.until === undefined ? undefined : timeOf("--until", flags.until, io.now()),
    limit,
  };
  const { store, lastSeq } = await synced(bus, defaultPath(io.env, bus.namespace), {
    rebuild: flags.rebuild,
    stale: flags.stale,
    signal: io.signal,
    onProgress: progress(io),
  });
  try {
    const counts = store.count(wanted);
    if (flags.count) countOf(io, counts, flags.json);
    else print(io, store.list(wanted), flags.json);
    io.err.write(`${summary(io, store, counts, wanted.limit, lastSeq)}\n`);
  } finally {
    store.close();
  }
}

/** Says how far it is, where somebody is looking and it takes long enough to be asked. */
function progress(io: Io): (done: number, all: number) => void {
  const begin = io.now();
  let shown = false;
  return (done, all) => {
    if (!io.err.isTTY) return;
    shown ||= io.now() - begin > 500;
    if (!shown) return;
    const line = `reading ${done.toLocaleString("en")} of ${all.toLocaleString("en")} messages`;
    io.err.write(done < all ? `\r${line}` : `\r${" ".repeat(line.length)}\r`);
  };
}

function print(io: Io, rows: readonly RunRow[], json = false): void {
  if (json) {
    for (const row of rows) printLine(io, asJson(row));
    return;
  }
  const paint = painter(io, io.out);
  const titles = ["RUN", "WORKFLOW", "STATUS", "STARTED", "TOOK", ""].map((title) => ({ title }));
  const cells = rows.map((row) => [
    row.run,
    `${row.workflow}@${row.version}`,
    paint(stateStyle(row.status), row.status),
    ago(io.now() - row.startedAt),
    row.endedAt === null ? "" : took(row.endedAt - row.startedAt),
    [row.code, row.message]
      .filter(Boolean)
      .map((text) => oneLine(text!))
      .join(": "),
  ]);
  if (cells.length > 0) io.out.write(`${table(titles, cells, io.out.columns)}\n`);
}

function asJson({ run, workflow, version, status, startedAt, endedAt, parent, code, message }: RunRow) {
  return {
    run,
    workflow,
    version,
    status,
    startedAt,
    ...(endedAt !== null && { endedAt }),
    ...(parent !== null && { parent }),
    ...(code !== null && { error: { code, message: message ?? "" } }),
  };
}

function countOf(io: Io, counts: ReadonlyMap<RunState, number>, json = false): void {
  if (json) return void printLine(io, Object.fromEntries(counts));
  const paint = painter(io, io.out);
  for (const state of STATES) {
    const count = counts.get(state) ?? 0;
    if (count > 0) io.out.write(`${paint(stateStyle(state), state.padEnd(10))}  ${count.toLocaleString("en")}\n`);
  }
}

/** How many there are in all, and how far behind the bus this is. */
function summary(
  io: Io,
  store: RunStore,
  counts: ReadonlyMap<RunState, number>,
  limit: number,
  lastSeq: number,
): string {
  const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const { seq, at, unreadable } = store.cursor;
  const behind = Math.max(0, lastSeq - seq);
  const paint = painter(io, io.err);
  const shown =
    all > limit ? `the newest ${limit.toLocaleString("en")} of ${all.toLocaleString("en")} runs` : `${all} runs`;
  const lag =
    behind === 0
      ? "up to date"
      : `${behind.toLocaleString("en")} messages behind, as of ${at === 0 ? "never" : ago(io.now() - at)}`;
  const passed =
    unreadable === 0 ? "" : ` · ${unreadable.toLocaleString("en")} stored messages passed over that cannot be read`;
  return paint("gray", `${shown} · ${lag}${passed}`);
}
