import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startNatsServer } from "@stepstream/infra";
import { connect, type HistoryEntry, type Progress } from "@stepstream/sdk";
import { startTelemetry } from "@stepstream/telemetry";
import { type Child, startChild } from "./children.ts";
import { etl, type Report } from "./pipeline.ts";

export interface DemoOptions {
  /** Of each data set, at most so many rows. */
  rows: number;
  /** Keep the folder with the database and the history. */
  keep: boolean;
  seed: number;
  signal: AbortSignal;
  onProgress(progress: Progress): void;
  /** Something that is worth a line. */
  onNews(line: string): void;
}

export interface Summary {
  run: string;
  traceId: string;
  report: Report;
  chunks: number;
  /** Attempts that failed and were followed by another, by step. */
  retries: Record<string, number>;
  wallMs: number;
  /** Of the worker that was killed. */
  killed: number | undefined;
  /** All processes that were started; none is left. */
  pids: number[];
  folder: string;
  database: string;
  historyFile: string;
}

/** So far into the pipeline (its second node, a third done) a worker is killed. */
const KILL_AT = 1.3;

/** Chunks enough to watch, and none so large that its loss would hurt. */
const chunkRowsFor = (rows: number) => Math.max(1, Math.min(250, Math.floor(rows / 20)));

/** Starts everything, runs the pipeline while a worker dies, looks at what came out, and stops everything. */
export async function runDemo(options: DemoOptions): Promise<Summary> {
  const { rows, keep, seed, signal, onProgress, onNews } = options;
  const undo: (() => Promise<unknown>)[] = [];
  const pids: number[] = [];
  try {
    const folder = await mkdtemp(join(tmpdir(), "stepstream-demo-"));
    if (!keep) undo.push(() => rm(folder, { recursive: true, force: true }));
    const namespace = `demo-${Date.now().toString(36)}`;
    const traces = await startTelemetry({ serviceName: "demo-client" });
    undo.push(() => traces.stop());
    // The search for a server is worth telling, the server's own log is not.
    const server = await startNatsServer({ log: (line) => line.startsWith("[") || onNews(line) });
    undo.push(() => server.stop());
    if (server.pid !== undefined) pids.push(server.pid);

    const start = (name: string, module: string) => {
      const child = startChild(name, module, [server.url, namespace]);
      undo.push(() => child.stop());
      pids.push(child.pid);
      return child;
    };
    const coordinator = start("coordinator", "./coordinator.ts");
    const workers = [start("worker 1", "./worker.ts"), start("worker 2", "./worker.ts")];
    await Promise.all([coordinator, ...workers].map((child) => child.ready));
    signal.throwIfAborted();
    onNews(
      `nats-server at ${server.url}; ${[coordinator, ...workers].map((c) => `${c.name} is process ${c.pid}`).join(", ")}`,
    );

    const client = await connect({ nats: server.url, namespace });
    undo.push(() => client.close());
    signal.addEventListener("abort", () => void client.close(), { once: true });
    const database = join(folder, "demo.sqlite");
    const run = await client.start(
      etl,
      { rows, chunkRows: chunkRowsFor(rows), folder: join(folder, "chunks"), database, seed },
      { id: `etl-${Date.now().toString(36)}` },
    );
    let killed: Child | undefined;
    for await (const progress of run.progress()) {
      onProgress(progress);
      if (killed || progress.step < KILL_AT) continue;
      killed = workers[0]!;
      await killed.kill();
      onNews(`killed ${killed.name} (process ${killed.pid}) with SIGKILL; its chunks go to the other`);
    }
    const report = await run.result();
    const history = await run.history();
    const { startedAt, endedAt, traceId } = await run.status();
    const historyFile = join(folder, "history.jsonl");
    await writeFile(historyFile, history.map((entry) => JSON.stringify(entry)).join("\n"));
    return {
      run: run.id,
      traceId,
      report,
      chunks: report.audit.chunks,
      retries: retriesIn(history),
      wallMs: endedAt! - startedAt,
      killed: killed?.pid,
      pids,
      folder,
      database,
      historyFile,
    };
  } finally {
    for (let last = undo.pop(); last; last = undo.pop()) await last();
  }
}

function retriesIn(history: readonly HistoryEntry[]): Record<string, number> {
  const retries: Record<string, number> = {};
  for (const entry of history) {
    if (entry.kind !== "attempt" || entry.message.type !== "AttemptFailed") continue;
    const { step, delayMs } = entry.message;
    if (delayMs !== undefined) retries[step] = (retries[step] ?? 0) + 1;
  }
  return retries;
}
