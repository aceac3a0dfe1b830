/**
 * Runs the demo as a user does, and works out every figure again from the raw files, with nothing of Stepstream's
 * and nothing of the demo's code.
 */

import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { access, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Summary } from "./demo.ts";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));
const data = join(dirname(createRequire(import.meta.url).resolve("vega-datasets")), "../data");
const read = (file: string) => readFileSync(join(data, file), "utf8");

interface RawFlight {
  date: string;
  delay: number;
  distance: number;
  origin: string;
  destination: string;
}
interface RawMovie {
  Title: string | number | null;
  "Release Date": string;
  "US Gross": number | null;
  "Production Budget": number | null;
  "MPAA Rating": string | null;
  "Major Genre": string | null;
  "IMDB Rating": number | null;
}

const flights: RawFlight[] = JSON.parse(read("flights-20k.json"));
const days = read("weather.csv")
  .trim()
  .split("\n")
  .slice(1)
  .map((line) => line.trim().split(","));
const movies: RawMovie[] = JSON.parse(read("movies.json"));

const fault = (m: RawMovie) =>
  typeof m.Title !== "string"
    ? "title"
    : Number(m["Release Date"].slice(-4)) > 2011
      ? "date"
      : m["US Gross"] === null
        ? "gross"
        : m["Production Budget"] === null
          ? "budget"
          : m["MPAA Rating"] === "Open"
            ? "rating"
            : undefined;
const good = movies.filter((m) => fault(m) === undefined);
const profit = (m: RawMovie) => m["US Gross"]! - m["Production Budget"]!;
const add = (values: number[]) => values.reduce((a, b) => a + b, 0);

function tally<T>(items: readonly T[], key: (item: T) => string, value: (item: T) => number = () => 1) {
  const sums = new Map<string, number>();
  for (const item of items) sums.set(key(item), (sums.get(key(item)) ?? 0) + value(item));
  return sums;
}
const top = (sums: Map<string, number>) => [...sums].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))[0]![0];

/** The demo's bad luck, spelt out once more: a chunk's attempts fail until one does not. */
function failuresOnPurpose(seed: number): number {
  const names = [
    ...Array.from({ length: 80 }, (_, i) => `flights-${String(i + 1).padStart(4, "0")}.jsonl`),
    ...Array.from({ length: 12 }, (_, i) => `weather-${String(i + 1).padStart(4, "0")}.jsonl`),
    ...Array.from({ length: 13 }, (_, i) => `movies-${String(i + 1).padStart(4, "0")}.jsonl`),
  ];
  let failures = 0;
  for (const name of names)
    for (let attempt = 1; ; attempt++) {
      const digest = createHash("sha256").update(`${seed} ${name} ${attempt}`).digest();
      if (digest.readUInt32BE() % 8 !== 0) break;
      failures++;
    }
  return failures;
}

const run = (args: string[]) => promisify(execFile)(process.execPath, [main, ...args], { maxBuffer: 1 << 24 });
const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe("the demo, on all rows, with failures on purpose and a worker killed half-way", () => {
  let summary: Summary;
  let progress: string;
  beforeAll(async () => {
    const { stdout, stderr } = await run(["--json", "--keep"]);
    summary = JSON.parse(stdout);
    progress = stderr;
  });
  afterAll(async () => {
    if (summary) await rm(summary.folder, { recursive: true, force: true });
  });

  it("lets in what is clean and says why it turned the rest away", () => {
    const { rowsIn, rowsOut, rejected } = summary.report;
    expect(rowsIn).toEqual({ flights: flights.length, weather: days.length, movies: movies.length });
    expect(rowsOut).toEqual({ flights: 20_000, weather: 2_922, movies: good.length });
    const said = Object.fromEntries(rejected.map((r) => [r.reason.split(":")[0], r.rows]));
    const found = tally(movies.filter(fault), (m) => fault(m)!);
    expect(said).toEqual({
      Title: found.get("title"),
      "Release Date": found.get("date"),
      "US Gross": found.get("gross"),
      "Production Budget": found.get("budget"),
      "MPAA Rating": found.get("rating"),
    });
  });

  it("comes to the figures that the raw files come to", () => {
    const { stats } = summary.report;
    const late = flights.filter((f) => f.delay >= 15).length / flights.length;
    expect(stats.flights.lateShare).toBeCloseTo(late, 4);
    expect(stats.flights.meanDelayMin).toBeCloseTo(add(flights.map((f) => f.delay)) / flights.length, 2);
    expect(stats.flights.busiestRoute).toBe(top(tally(flights, (f) => `${f.origin}-${f.destination}`)));
    for (const place of ["Seattle", "New York"]) {
      const there = days.filter((d) => d[0] === place);
      const mean = add(there.map((d) => Math.round((Number(d[4]) + Number(d[3])) * 5) / 10)) / there.length;
      expect(stats.weather.meanC[place]).toBeCloseTo(mean, 2);
    }
    expect(stats.weather.wettestDay).toBe(
      top(
        tally(
          days,
          (d) => `${d[1]} ${d[0]}`,
          (d) => Number(d[2]),
        ),
      ),
    );
    expect(stats.movies.profitUsd).toBe(add(good.map(profit)));
    const genres = good.filter((m) => m["Major Genre"] !== null);
    expect(stats.movies.bestGenre).toBe(top(tally(genres, (m) => m["Major Genre"]!, profit)));
    const ratings = good.flatMap((m) => m["IMDB Rating"] ?? []).sort((a, b) => a - b);
    expect(stats.movies.medianImdb).toBe(ratings[Math.floor(ratings.length / 2)]);
  });

  it("retried what failed on purpose, no more and no less, the save after its commit among it", () => {
    expect(summary.retries).toEqual({ transform: failuresOnPurpose(1), save: 1 });
  });

  it("has each row once in the database, though the save ran twice", () => {
    const db = new DatabaseSync(summary.database, { readOnly: true });
    const value = (sql: string) => Object.values(db.prepare(sql).get()!)[0];
    expect(value("SELECT count(*) FROM flights")).toBe(flights.length);
    expect(value("SELECT sum(delayMin) FROM flights")).toBe(add(flights.map((f) => f.delay)));
    expect(value("SELECT sum(distanceKm) FROM flights")).toBe(
      add(flights.map((f) => Math.round(f.distance * 1.609344))),
    );
    expect(value("SELECT count(*) FROM weather")).toBe(days.length);
    expect(value("SELECT sum(precipitationMm) FROM weather")).toBeCloseTo(add(days.map((d) => Number(d[2]))), 6);
    expect(value("SELECT count(*) FROM movies")).toBe(good.length);
    expect(value("SELECT sum(profitUsd) FROM movies")).toBe(add(good.map(profit)));
    expect(value("SELECT released FROM movies WHERE title = 'The Land Girls'")).toBe("1998-06-12");
    expect(value("SELECT count(*) FROM saves")).toBe(1);
    db.close();
  });

  it("killed a worker, and left nothing running", () => {
    expect(summary.pids).toContain(summary.killed);
    expect(summary.pids.filter(isAlive)).toEqual([]);
  });

  it("showed how far it was", () => {
    expect(progress).toMatch(/\[-+\] +0 % {2}validate/);
    expect(progress).toMatch(/\[#+-+\] +\d+ % {2}transform/);
    expect(progress).toMatch(/\[#+\] 100 % {2}done/);
  });

  it("kept the run's history, which begins with its start and ends with its end", () => {
    const history = readFileSync(summary.historyFile, "utf8").split("\n");
    expect(history[0]).toContain('"RunStarted"');
    expect(history.findLast((line) => line.includes('"kind":"journal"'))).toContain('"RunCompleted"');
    expect(history.filter((line) => line.includes('"kind":"malformed"'))).toEqual([]);
  });
});

describe("the demo's command line", () => {
  it("takes few rows, and removes its folder unless told to keep it", async () => {
    const { stdout } = await run(["--json", "--rows", "100", "--seed", "2"]);
    const summary: Summary = JSON.parse(stdout);
    expect(summary.report.rowsIn).toEqual({ flights: 100, weather: 100, movies: 100 });
    await expect(access(summary.folder)).rejects.toThrow();
    expect(summary.pids.filter(isAlive)).toEqual([]);
  });

  it("stops on Ctrl-C in the middle of its work, and leaves nothing running", async () => {
    const demo = spawn(process.execPath, [main], { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    demo.stdout.on("data", (text) => {
      said += text;
      if (said.includes("transform")) demo.kill("SIGINT");
    });
    demo.stderr.on("data", (text) => {
      said += text;
    });
    const [code] = await once(demo, "close");
    expect(said).toContain("nothing is left running");
    expect(code).toBe(130);
    const pids = [...said.matchAll(/is process (\d+)/g)].map((match) => Number(match[1]));
    expect(pids).toHaveLength(3);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  it("explains itself, and refuses what makes no sense", async () => {
    expect((await run(["--help"])).stdout).toContain("--rows <n>");
    await expect(run(["--rows", "none"])).rejects.toMatchObject({ code: 2 });
  });
});
