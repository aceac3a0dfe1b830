import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { type HistoryEntry, HistoryReader, RunNotFoundError } from "@stepstream/sdk";
import type { Command } from "commander";
import type { Flags } from "../commands/history.ts";
import { type Bus, withBus } from "../connection.ts";
import { CliError, EXIT } from "../exit.ts";
import type { Io } from "../io.ts";
import { type Paint, painter } from "../print/colour.ts";
import { entryJson, printLine } from "../print/json.ts";
import { cut } from "../print/table.ts";
import { stamp } from "../print/time.ts";
import { type Line, linesOf } from "../view/entry.ts";
import { followRun } from "../view/follow.ts";
import { innermostFrames } from "../view/stack.ts";

export async function history(command: Command, io: Io, run: string, flags: Flags): Promise<void> {
  await withBus(command, io, (bus) => print(bus, io, run, flags));
}

async function print(bus: Bus, io: Io, run: string, flags: Flags): Promise<void> {
  if (flags.slot !== undefined && !/^[1-9]\d*$/.test(flags.slot))
    throw new CliError(`--slot is a whole number from 1, not "${flags.slot}".`, EXIT.usage);
  if (flags.export !== undefined && (flags.slot !== undefined || flags.follow))
    throw new CliError("--export writes the whole history, as it is now: without --slot and --follow.", EXIT.usage);
  const reader = new HistoryReader(bus.log, run);
  const first = await reader.more();
  if (first.length === 0) throw new RunNotFoundError(run, bus.namespace);
  if (flags.export !== undefined) return exported(bus, io, run, first, flags.export);
  const paint = painter(io, io.out);
  if (!flags.json) io.out.write(`${paint("bold", header())}\n`);
  const printed = (entries: readonly HistoryEntry[]) => {
    for (const entry of entries) {
      if (flags.json) {
        if (flags.slot === undefined || linesOf(entry).some(({ slot }) => `${slot}` === flags.slot))
          printLine(io, entryJson(entry));
        continue;
      }
      for (const line of linesOf(entry))
        if (flags.slot === undefined || `${line.slot}` === flags.slot)
          io.out.write(`${[row(line, paint, io.out.columns), ...frames(line, io, paint)].join("\n")}\n`);
    }
  };
  printed(first);
  if (flags.follow && !reader.over)
    await followRun(bus, run, io.signal, async () => {
      printed(await reader.more());
      return reader.over;
    });
}

/** Where in the user's code it went wrong, under what went wrong. */
function frames({ error }: Line, io: Io, paint: Paint): string[] {
  const indent = " ".repeat(WIDTHS.seq + 2);
  return innermostFrames(error, io.cwd).map((frame) =>
    paint("gray", cut(`${indent}${frame}`, io.out.columns ?? 1_000)),
  );
}

const WIDTHS = { seq: 8, kind: 8, slot: 5, what: 20 } as const;

function header(): string {
  return [
    "SEQ".padStart(WIDTHS.seq),
    "TIME".padEnd(23),
    "KIND".padEnd(WIDTHS.kind),
    "SLOT".padStart(WIDTHS.slot),
    "WHAT",
  ].join("  ");
}

/** Columns have their widths beforehand: lines come one by one. */
function row({ seq, at, kind, what, slot, text, ignored }: Line, paint: Paint, width: number | undefined): string {
  const style = kind === "attempt" || kind === "malformed" ? "red" : kind === "journal" ? "cyan" : "green";
  const columns = [
    String(seq).padStart(WIDTHS.seq),
    stamp(at),
    paint(style, kind.padEnd(WIDTHS.kind)),
    (slot === undefined ? "" : String(slot)).padStart(WIDTHS.slot),
    what.padEnd(WIDTHS.what),
    ignored ? `${paint("yellow", ignored)}  ${text}` : text,
  ];
  const line = columns.join("  ").trimEnd();
  return width === undefined ? line : cut(line, width);
}

async function exported(bus: Bus, io: Io, run: string, history: readonly HistoryEntry[], to: string): Promise<void> {
  const start = history.find((entry) => entry.kind === "inbox" && entry.message.type === "RunStarted");
  const { workflow, version } =
    (start as { message: { workflow: string; version: number } } | undefined)?.message ?? {};
  const whole = {
    run,
    namespace: bus.namespace,
    workflow: `${workflow}@${version}`,
    exportedAt: new Date(io.now()).toISOString(),
    history,
  };
  const text = `${JSON.stringify(whole, undefined, 1)}\n`;
  if (to === "-") return void io.out.write(text);
  const path = resolve(io.cwd, to);
  await writeFile(path, text);
  io.err.write(`${history.length} messages of run ${run} are in ${path}\n`);
}
