import { DatabaseSync } from "node:sqlite";
import type { Dataset } from "./datasets.ts";
import type { Rows } from "./rows.ts";

const SCHEMA = `
CREATE TABLE IF NOT EXISTS flights (id INTEGER PRIMARY KEY, at TEXT, route TEXT, delayMin INTEGER, distanceKm INTEGER, late INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS weather (id INTEGER PRIMARY KEY, date TEXT, place TEXT, kind TEXT, precipitationMm REAL, meanC REAL) STRICT;
CREATE TABLE IF NOT EXISTS movies (id INTEGER PRIMARY KEY, title TEXT, released TEXT, genre TEXT, rating TEXT, imdb REAL, budgetUsd INTEGER, grossUsd INTEGER, profitUsd INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS saves (key TEXT PRIMARY KEY, report TEXT) STRICT;
`;

/**
 * Stores all rows and the report in one transaction, once for each key.
 *
 * A step may be run again after it has succeeded (its worker died before it could say so). The key is the same for
 * every attempt, so the second finds the report of the first and writes nothing.
 *
 * @returns "saved", or "saved before".
 */
export function saveOnce(
  file: string,
  key: string,
  rows: { [D in Dataset]: Rows[D][] },
  report: unknown,
): "saved" | "saved before" {
  const db = new DatabaseSync(file);
  try {
    db.exec("PRAGMA busy_timeout = 10000");
    db.exec("BEGIN IMMEDIATE");
    db.exec(SCHEMA);
    const first = db.prepare("INSERT INTO saves VALUES (?, ?) ON CONFLICT DO NOTHING").run(key, JSON.stringify(report));
    if (Number(first.changes) > 0) for (const [table, all] of Object.entries(rows)) insert(db, table, all);
    db.exec("COMMIT");
    return Number(first.changes) > 0 ? "saved" : "saved before";
  } finally {
    db.close(); // Rolls back what was not committed.
  }
}

function insert(db: DatabaseSync, table: string, rows: readonly object[]): void {
  if (rows.length === 0) return;
  const columns = Object.keys(rows[0]!);
  const insert = db.prepare(`INSERT INTO ${table} (${columns}) VALUES (${columns.map((c) => `:${c}`)})`);
  for (const row of rows) insert.run(row as Record<string, string | number | null>);
}
