import { mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import type { RunState } from "@stepstream/sdk";
import { fold, type RunRow, type Seen } from "./fold.ts";
import { type Database, DatabaseSync } from "./sqlite.ts";

/** Of the tables below. A file of another one is made anew. */
const SCHEMA = 3;
const BUSY_MS = 10_000;

/** How far the file is. */
export interface Cursor {
  /** The last message of the stream that is folded in; 0: none. */
  seq: number;
  /** Its time, which tells it from another that got its number after a server lost its tail. */
  at: number;
  /** Messages that were deleted when it was last held against the bus. */
  deleted: number;
  /** Messages that were passed over since the file was made: they cannot be read, or their subject names no run. */
  unreadable: number;
}

export interface Wanted {
  workflow?: string | undefined;
  status?: readonly RunState[] | undefined;
  since?: number | undefined;
  until?: number | undefined;
  parent?: string | undefined;
  /** Also those of built-in workflows: schedules and single steps. */
  builtin?: boolean | undefined;
  limit: number;
}

/**
 * The read model's file: one row for each run.
 *
 * Any number of processes may have it open. A batch is folded in one transaction that begins by looking how far the file
 * is, so what two of them fold at the same time is folded once.
 */
export class RunStore {
  readonly #db: Database;

  private constructor(db: Database) {
    this.#db = db;
  }

  /**
   * Opens the file, or creates it; one that is broken, or of another version, is created again. Where nothing can be written
   * (a container with a read-only file system), it is in memory, and everything is read again the next time.
   */
  static open(path: string, options: { rebuild?: boolean } = {}): RunStore {
    try {
      mkdirSync(dirname(path), { recursive: true });
    } catch {
      return new RunStore(opened(":memory:"));
    }
    try {
      const store = new RunStore(opened(path));
      // Others may have the file open: it is emptied, and not replaced.
      if (options.rebuild) store.#clear();
      return store;
    } catch (error) {
      if (/unable to open database|readonly database/i.test(String(error))) return new RunStore(opened(":memory:"));
      if (!/not a database|malformed|schema version|disk image/i.test(String(error))) throw error;
      remove(path);
      return new RunStore(opened(path));
    }
  }

  get cursor(): Cursor {
    const row = this.#db.prepare("SELECT seq, at, deleted, unreadable FROM cursor").get() as unknown as Cursor;
    return { ...row };
  }

  /**
   * Folds messages in the order of the stream, and remembers how far it is.
   * @param strays - The sequences of messages up to there whose subject names no run.
   */
  take(batch: readonly Seen[], upTo: { seq: number; at: number }, strays: readonly number[] = []): void {
    this.#transaction(() => {
      const { seq } = this.cursor;
      const known = this.#db.prepare("SELECT * FROM runs WHERE run = ?");
      const put = this.#db.prepare(PUT);
      const rows = new Map<string, RunRow | undefined>();
      let unreadable = strays.filter((stray) => stray > seq).length;
      const onUnreadable = () => void unreadable++;
      for (const seen of batch) {
        if (seen.seq <= seq) continue;
        const row = rows.has(seen.run) ? rows.get(seen.run) : (known.get(seen.run) as unknown as RunRow | undefined);
        rows.set(seen.run, fold(row, seen, onUnreadable));
      }
      for (const row of rows.values()) if (row) put.run({ ...row });
      if (upTo.seq > seq) this.#db.prepare("UPDATE cursor SET seq = ?, at = ?").run(upTo.seq, upTo.at);
      if (unreadable > 0) this.#db.prepare("UPDATE cursor SET unreadable = unreadable + ?").run(unreadable);
    });
  }

  /**
   * Of rows that are parked, those that the bus no longer has a record for go on.
   * @param asOf - The stream's last sequence before the records were listed: others may have folded newer ones since.
   */
  unpark(stillParked: ReadonlySet<string>, asOf: number): void {
    const old = this.#db.prepare("SELECT run FROM runs WHERE status = 'parked' AND parkedSeq <= ?");
    const rows = old.all(asOf) as { run: string }[];
    const gone = rows.filter(({ run }) => !stillParked.has(run));
    if (gone.length === 0) return;
    this.#transaction(() => {
      const go = this.#db.prepare(
        "UPDATE runs SET status = 'running', parkedSeq = NULL, code = NULL, message = NULL WHERE run = ? AND parkedSeq <= ?",
      );
      for (const { run } of gone) go.run(run, asOf);
    });
  }

  get hasParked(): boolean {
    return this.#db.prepare("SELECT 1 FROM runs WHERE status = 'parked' LIMIT 1").get() !== undefined;
  }

  /**
   * Forgets runs of which nothing is stored any more.
   * @param asOf - The stream's last sequence before they were listed: others may have folded newer ones since.
   */
  keepOnly(stored: ReadonlySet<string>, deleted: number, asOf: number): void {
    this.#transaction(() => {
      const rows = this.#db.prepare("SELECT run FROM runs WHERE startedSeq <= ?").all(asOf) as { run: string }[];
      const forget = this.#db.prepare("DELETE FROM runs WHERE run = ?");
      for (const { run } of rows) if (!stored.has(run)) forget.run(run);
      this.#db.prepare("UPDATE cursor SET deleted = ?").run(deleted);
    });
  }

  /** Newest first. */
  list(wanted: Wanted): RunRow[] {
    const { where, values } = conditions(wanted);
    const sql = `SELECT * FROM runs ${where} ORDER BY startedAt DESC, startedSeq DESC LIMIT ?`;
    return this.#db.prepare(sql).all(...values, wanted.limit) as unknown as RunRow[];
  }

  /** How many there are of each state, whatever the limit. */
  count(wanted: Omit<Wanted, "limit">): Map<RunState, number> {
    const { where, values } = conditions(wanted);
    const rows = this.#db.prepare(`SELECT status, count(*) AS n FROM runs ${where} GROUP BY status`).all(...values);
    return new Map((rows as { status: RunState; n: number }[]).map(({ status, n }) => [status, n]));
  }

  #clear(): void {
    this.#transaction(() => {
      this.#db.exec("DELETE FROM runs");
      this.#db.exec("UPDATE cursor SET seq = 0, at = 0, deleted = 0, unreadable = 0");
    });
  }

  close(): void {
    this.#db.close();
  }

  #transaction(work: () => void): void {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.#db.exec("COMMIT");
    } catch (error) {
      this.#db.exec("ROLLBACK");
      throw error;
    }
  }
}

const PUT = `INSERT OR REPLACE INTO runs
  (run, workflow, version, status, startedAt, endedAt, startedSeq, parent, parkedSeq, code, message)
  VALUES ($run, $workflow, $version, $status, $startedAt, $endedAt, $startedSeq, $parent, $parkedSeq, $code, $message)`;

function opened(path: string): Database {
  const db = new DatabaseSync(path);
  try {
    db.exec(`PRAGMA busy_timeout = ${BUSY_MS}; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;`);
    const { user_version: version } = db.prepare("PRAGMA user_version").get() as { user_version: number };
    if (version !== 0 && version !== SCHEMA) throw new Error(`schema version ${version}`);
    if (version === 0) db.exec(TABLES);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

const TABLES = `
  BEGIN IMMEDIATE;
  CREATE TABLE IF NOT EXISTS runs (
    run TEXT PRIMARY KEY, workflow TEXT NOT NULL, version INTEGER NOT NULL, status TEXT NOT NULL,
    startedAt INTEGER NOT NULL, endedAt INTEGER, startedSeq INTEGER NOT NULL, parent TEXT, parkedSeq INTEGER, code TEXT, message TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS newest ON runs (startedAt DESC, startedSeq DESC);
  CREATE INDEX IF NOT EXISTS newest_of_status ON runs (status, startedAt DESC, startedSeq DESC);
  CREATE INDEX IF NOT EXISTS newest_of_workflow ON runs (workflow, startedAt DESC, startedSeq DESC);
  CREATE TABLE IF NOT EXISTS cursor (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER, at INTEGER, deleted INTEGER, unreadable INTEGER) STRICT;
  INSERT OR IGNORE INTO cursor VALUES (1, 0, 0, 0, 0);
  PRAGMA user_version = ${SCHEMA};
  COMMIT;
`;

function conditions({ workflow, status, since, until, parent, builtin }: Omit<Wanted, "limit">) {
  const all: [sql: string, ...values: (string | number)[]][] = [];
  if (workflow !== undefined) {
    const [name = "", version] = workflow.split("@");
    all.push(["workflow = ?", name]);
    if (version !== undefined) all.push(["version = ?", Number(version)]);
  } else if (!builtin) all.push(["substr(workflow, 1, 1) <> '_'"]);
  if (status?.length) all.push([`status IN (${status.map(() => "?").join(", ")})`, ...status]);
  if (since !== undefined) all.push(["startedAt >= ?", since]);
  if (until !== undefined) all.push(["startedAt < ?", until]);
  if (parent !== undefined) all.push(["parent = ?", parent]);
  const where = all.length > 0 ? `WHERE ${all.map(([sql]) => sql).join(" AND ")}` : "";
  return { where, values: all.flatMap(([, ...values]) => values) };
}

function remove(path: string): void {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(path + suffix, { force: true });
}
