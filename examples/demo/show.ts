/** What a person sees: a bar that moves, and a summary. Strings in, strings out. */

import type { Progress } from "@stepstream/sdk";
import type { Summary } from "./demo.ts";

const WIDTH = 32;

/** `[############--------------------]  37 %  transform` */
export function bar({ percent, name, step, total }: Progress): string {
  const full = Math.round((percent / 100) * WIDTH);
  const label = step === total ? "done" : name;
  return `[${"#".repeat(full)}${"-".repeat(WIDTH - full)}] ${Math.round(percent).toString().padStart(3)} %  ${label}`;
}

/** Shows a bar in place on a terminal, and a line for each change elsewhere. */
export function createDisplay(out: NodeJS.WriteStream) {
  let shown = "";
  const clear = () => (out.isTTY && shown ? "\r\x1b[2K" : "");
  return {
    progress(progress: Progress): void {
      const next = bar(progress);
      out.write(out.isTTY ? clear() + next : next === shown ? "" : `${next}\n`);
      shown = next;
    },
    news(line: string): void {
      out.write(`${clear()}${line}\n${out.isTTY ? shown : ""}`);
    },
    end(): void {
      if (out.isTTY && shown) out.write("\n");
      shown = "";
    },
  };
}

const number = (n: number) => n.toLocaleString("en-US");
const sum = (counts: Record<string, number>) => Object.values(counts).reduce((a, b) => a + b, 0);

export function summaryText(summary: Summary, keep: boolean): string {
  const { report, retries, wallMs, chunks, run, traceId, killed } = summary;
  const { rowsIn, rowsOut, rejected, stats } = report;
  const rows = (counts: Record<string, number>) => {
    const parts = Object.entries(counts).map(([name, n]) => `${name} ${number(n)}`);
    return `${number(sum(counts)).padStart(7)}   (${parts.join(", ")})`;
  };
  const retried = Object.entries(retries).map(([step, n]) => `${step} ${n}`);
  return [
    `rows in     ${rows(rowsIn)}`,
    `rejected    ${number(rejected.reduce((n, r) => n + r.rows, 0)).padStart(7)}`,
    ...rejected.map((r) => `   ${number(r.rows).padStart(6)}   ${r.dataset}: ${r.reason} (e.g. row ${r.example})`),
    `rows out    ${rows(rowsOut)}`,
    `retries     ${number(sum(retries)).padStart(7)}   (${retried.join(", ") || "none"}; failed on purpose)`,
    `chunks      ${number(chunks).padStart(7)}   audited: each row once`,
    `flights     ${(stats.flights.lateShare * 100).toFixed(1)} % were late; busiest route ${stats.flights.busiestRoute}`,
    `weather     ${Object.entries(stats.weather.meanC)
      .map(([place, c]) => `${place} ${c} °C`)
      .join(", ")}; wettest day ${stats.weather.wettestDay}`,
    `movies      best genre ${stats.movies.bestGenre}; median IMDB rating ${stats.movies.medianImdb}`,
    `wall time   ${(wallMs / 1000).toFixed(1)} s${killed ? ", with one worker killed half-way" : ""}`,
    `run         ${run}`,
    `trace       ${traceId}`,
    "",
    ...(keep
      ? [
          "Look next:",
          `  ${summary.database}   e.g. SELECT route, avg(delayMin) FROM flights GROUP BY route ORDER BY 2 DESC LIMIT 5;`,
          `  ${summary.historyFile}   every message of the run, in order`,
        ]
      : [
          "Look next: run it with --keep for the database and the run's history; examples/demo/pipeline.ts is what ran.",
        ]),
  ].join("\n");
}
