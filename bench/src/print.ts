import { cpus } from "node:os";
import { findNatsServer } from "@stepstream/infra";
import type { Figures, Report, Row } from "./measure.ts";
import { SIDES, type SideName } from "./side.ts";

/** Machine and versions: figures without them say nothing. */
export async function surroundings(): Promise<string> {
  const found = await findNatsServer();
  const server =
    found.kind === "url" ? "the server at NATS_URL" : `nats-server ${"version" in found ? found.version : ""}`;
  const [cpu] = cpus();
  return `${cpus().length} × ${cpu?.model.trim() ?? "?"}, ${process.platform} ${process.arch}, Node ${process.versions.node}, ${server.trim()} (${found.kind})`;
}

const TITLE: Record<SideName, string> = { engine: "engine", bare: "bare bus", traced: "engine, traced" };
const COLUMNS = ["", "at a time", "", "runs/s", "min–max", "steps/s", "p50 ms", "p99 ms", "CPU µs/step"];

/** The table that people read. */
export function table({ rows }: Report): string {
  const lines = [COLUMNS];
  for (const row of rows) {
    for (const side of SIDES) {
      const f = row.sides[side];
      if (f) lines.push(lineOf(row, side, f));
    }
    if (row.ratio)
      lines.push([
        "",
        "",
        "ratio",
        percent(row.ratio.median),
        `${percent(row.ratio.min)}–${percent(row.ratio.max)}`,
        "",
        "",
        "",
        "",
      ]);
  }
  const widths = COLUMNS.map((_, n) => Math.max(...lines.map((line) => line[n]!.length)));
  return lines
    .map((line) =>
      line
        .map((cell, n) => (n < 3 ? cell.padEnd(widths[n]!) : cell.padStart(widths[n]!)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function lineOf(row: Row, side: SideName, f: Figures): string[] {
  const { coordinator, worker, client } = f.cpuPerStep;
  return [
    row.title,
    String(row.concurrency),
    TITLE[side],
    whole(f.runsPerS.median),
    `${whole(f.runsPerS.min)}–${whole(f.runsPerS.max)}`,
    whole(f.stepsPerS),
    f.p50Ms.toFixed(2),
    f.p99Ms.toFixed(2),
    [coordinator, worker, client].map(whole).join(" + "),
  ];
}

/** Are the two sides' messages alike? If not, they are no comparison. */
export function footprints({ footprints }: Report): string[] {
  return footprints.map((of) => {
    const sides = SIDES.flatMap((side) => (of[side] ? [{ title: TITLE[side], ...of[side] }] : []));
    const line = `stored per run: ${sides.map((s) => `${s.title} ${s.messages} messages, ${s.bytes} bytes`).join("; ")}`;
    return new Set(sides.map((s) => s.messages)).size === 1 ? line : `${line}  (NOT ALIKE)`;
  });
}

const whole = (n: number) => Math.round(n).toLocaleString("en-US");
const percent = (n: number) => `${Math.round(n * 100)} %`;
