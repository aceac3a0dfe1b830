/** Who does it: one handler for each step of the pipeline. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Worker } from "@stepstream/step-worker";
import type { z } from "zod";
import { readChunk, writeChunk } from "./chunks.ts";
import { saveOnce } from "./database.ts";
import { DATASETS, type Dataset, readRaw, SCHEMAS } from "./datasets.ts";
import { isUnlucky, Misfortune } from "./misfortune.ts";
import { audit, type Chunk, type Rejection, save, summarise, transform, validate } from "./pipeline.ts";
import { type Numbered, type Rows, transforms } from "./rows.ts";
import { statistics } from "./statistics.ts";

/** A chunk is done in no time; this makes it worth watching. */
const PACE_MS = 100;

export function handleAll(worker: Worker): Worker {
  return worker
    .handle(validate, async (source) => {
      const rowsIn = { flights: 0, weather: 0, movies: 0 };
      const rejected = new Map<string, Rejection>();
      const chunks: Chunk[] = [];
      for (const dataset of DATASETS) {
        const raw = await readRaw(dataset, source.rows);
        rowsIn[dataset] = raw.length;
        const fine: Numbered<unknown>[] = [];
        for (const [i, value] of raw.entries()) {
          const read = SCHEMAS[dataset].safeParse(value);
          if (read.success) fine.push({ row: i + 1, value: read.data });
          else reject(rejected, dataset, i + 1, read.error);
        }
        for (let at = 0, n = 1; at < fine.length; at += source.chunkRows, n++) {
          const name = `validated/${dataset}-${String(n).padStart(4, "0")}.jsonl`;
          chunks.push(await writeChunk(source.folder, dataset, name, fine.slice(at, at + source.chunkRows)));
        }
      }
      return { rowsIn, rejected: [...rejected.values()], chunks };
    })
    .handle(transform, async ({ chunk, folder, seed }, ctx) => {
      const name = chunk.file.split(/[\\/]/).at(-1)!;
      await sleep(PACE_MS, undefined, { signal: ctx.signal });
      if (isUnlucky(seed, name, ctx.attempt)) throw new Misfortune(`${name}: the demo fails this attempt on purpose`);
      const change: (row: Numbered<never>) => object = transforms[chunk.dataset];
      const rows = (await readChunk<Numbered<never>>(chunk)).map(change);
      return writeChunk(folder, chunk.dataset, `transformed/${name}`, rows);
    })
    .handle(summarise, async (chunks) => statistics(await readAll(chunks)))
    .handle(audit, async ({ validated, transformed }, ctx) => {
      let rows = 0;
      for (const [i, before] of validated.entries()) {
        const after = transformed[i];
        const ids = after && (await readChunk<{ id: number }>(after)).map((row) => row.id);
        const known = (await readChunk<Numbered<unknown>>(before)).map((row) => row.row);
        if (JSON.stringify(ids) !== JSON.stringify(known))
          return ctx.fail("Inconsistent", {
            file: before.file,
            why: "its rows are not those of the transformed chunk",
          });
        rows += known.length;
      }
      return { chunks: validated.length, rows };
    })
    .handle(save, async ({ chunks, database, ...findings }, ctx) => {
      const rows = await readAll(chunks);
      const rowsOut = { flights: rows.flights.length, weather: rows.weather.length, movies: rows.movies.length };
      const report = { ...findings, rowsOut };
      saveOnce(database, ctx.idempotencyKey, rows, report);
      // The worst moment: it is done, and nobody knows. The next attempt must not do it again.
      if (ctx.attempt === 1) throw new Misfortune("the demo fails on purpose after the commit");
      return report;
    });
}

function reject(into: Map<string, Rejection>, dataset: Dataset, row: number, error: z.ZodError): void {
  const issue = error.issues[0]!;
  const reason = `${issue.path.join(".")}: ${issue.message}`.replace(/^: /, "");
  const key = `${dataset} ${reason}`;
  const known = into.get(key);
  into.set(key, known ? { ...known, rows: known.rows + 1 } : { dataset, reason, rows: 1, example: row });
}

async function readAll(chunks: readonly Chunk[]): Promise<{ [D in Dataset]: Rows[D][] }> {
  const rows: { [D in Dataset]: Rows[D][] } = { flights: [], weather: [], movies: [] };
  for (const chunk of chunks) (rows[chunk.dataset] as unknown[]).push(...(await readChunk(chunk)));
  return rows;
}
