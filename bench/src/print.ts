import { cpus } from "node:os";
import { findNatsServer } from "@stepstream/infra";
import type { Figures, Report, Row } from "./measure.ts";
import { SIDE_NAMES, SIDES, type SideName } from "./side.ts";
import type { Received } from "./sink.ts";
import type { Spread } from "./stats.ts";

/** Machine and versions: figures without them say nothing. */
export async function surroundings(): Promise<string> {
  const found = await findNatsServer();
  const server =
    found.kind === "url" ? "the server at NATS_URL" : `nats-server ${"version" in found ? found.version : ""}`;
  const [cpu] = cpus();
  return `${cpus().length} × ${cpu?.model.trim() ?? "?"}, ${process.platform} ${process.arch}, Node ${process.versions.node}, ${server.trim()} (${found.kind})`;
}

const COLUMNS = ["", "at a time", "", "runs/s", "min–max", "steps/s", "p50 ms", "p99 ms", "CPU µs/step"];

/** The table that people read. */
export function table({ rows }: Report): string {
  const lines = [COLUMNS];
  for (const row of rows) {
    for (const side of SIDE_NAMES) {
      const f = row.sides[side];
      if (f) lines.push(lineOf(row, side, f));
    }
    const ratios = Object.entries(row.ratios) as [SideName, Spread][];
    for (const [side, { median, min, max }] of ratios) {
      const whose = ratios.length > 1 ? `ratio: ${SIDES[side].title}` : "ratio";
      lines.push(["", "", whose, percent(median), `${percent(min)}–${percent(max)}`, "", "", "", ""]);
    }
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
    SIDES[side].title,
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
    const sides = SIDE_NAMES.flatMap((side) => (of[side] ? [{ title: SIDES[side].title, ...of[side] }] : []));
    const line = `stored per run: ${sides.map((s) => `${s.title} ${s.messages} messages, ${s.bytes} bytes`).join("; ")}`;
    return new Set(sides.map((s) => s.messages)).size === 1 ? line : `${line}  (NOT ALIKE)`;
  });
}

/** What the sinks have got: telemetry that did not arrive would cost nothing. */
export function telemetry({ received }: Report): string[] {
  return (Object.entries(received) as [SideName, Received][]).map(([side, paths]) => {
    const of = Object.entries(paths).map(
      ([path, { requests, bytes }]) => `${path} ${whole(requests)} requests, ${whole(bytes / 1_000)} kB`,
    );
    return `received of ${SIDES[side].title}: ${of.join("; ")}`;
  });
}

const whole = (n: number) => Math.round(n).toLocaleString("en-US");
const percent = (n: number) => `${Math.round(n * 100)} %`;
