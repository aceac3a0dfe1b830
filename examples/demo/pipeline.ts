/** What is done with the data: the steps, and how they hang together. Who does it is in handlers.ts. */

import { exponential, pipeline, step } from "@stepstream/sdk";
import { z } from "zod";
import { Dataset } from "./datasets.ts";

/** Rows in a file of their own: what travels from step to step is where they are, not the rows. */
export const Chunk = z.object({ dataset: Dataset, file: z.string(), rows: z.int(), checksum: z.string() });
export type Chunk = z.infer<typeof Chunk>;
const Chunks = z.array(Chunk);

const Source = z.object({
  /** Of each data set, at most so many rows. */
  rows: z.int().min(1),
  chunkRows: z.int().min(1),
  /** Where chunks go. Every worker must see it. */
  folder: z.string(),
  database: z.string(),
  /** Decides which attempts fail on purpose. */
  seed: z.int(),
});

/** How many rows were turned away, and the first of them. */
const Rejection = z.object({ dataset: Dataset, reason: z.string(), rows: z.int(), example: z.int() });
export type Rejection = z.infer<typeof Rejection>;
const Counts = z.record(Dataset, z.int());

const Stats = z.object({
  flights: z.object({ lateShare: z.number(), meanDelayMin: z.number(), busiestRoute: z.string().nullable() }),
  weather: z.object({ meanC: z.record(z.string(), z.number()), wettestDay: z.string().nullable() }),
  movies: z.object({ profitUsd: z.number(), medianImdb: z.number().nullable(), bestGenre: z.string().nullable() }),
});
export type Stats = z.infer<typeof Stats>;
const Audit = z.object({ chunks: z.int(), rows: z.int() });

const Report = z.object({
  rowsIn: Counts,
  rejected: z.array(Rejection),
  rowsOut: Counts,
  stats: Stats,
  audit: Audit,
});
export type Report = z.infer<typeof Report>;

export const validate = step("validate", {
  input: Source,
  output: z.object({ rowsIn: Counts, rejected: z.array(Rejection), chunks: Chunks }),
});

export const transform = step("transform", {
  input: z.object({ chunk: Chunk, folder: z.string(), seed: z.int() }),
  output: Chunk,
  retry: { maxAttempts: 8, backoff: exponential({ initial: "50ms", max: "500ms" }) },
  timeout: { attempt: "20s" },
  // A worker that is gone is noticed after this silence, and its chunks go to another.
  heartbeat: "2s",
  concurrency: 4,
});

export const summarise = step("summarise", { input: Chunks, output: Stats });

export const audit = step("audit", {
  input: z.object({ validated: Chunks, transformed: Chunks }),
  output: Audit,
  errors: { Inconsistent: z.object({ file: z.string(), why: z.string() }) },
});

export const save = step("save", {
  input: z.object({
    chunks: Chunks,
    database: z.string(),
    rowsIn: Counts,
    rejected: z.array(Rejection),
    stats: Stats,
    audit: Audit,
  }),
  output: Report,
  retry: { maxAttempts: 5, backoff: exponential({ initial: "100ms" }) },
});

export const etl = pipeline("etl", { input: Source, output: Report })
  .step("validate", validate)
  .map(
    "transform",
    transform,
    (s) => s.validate.chunks.map((chunk) => ({ chunk, folder: s.input.folder, seed: s.input.seed })),
    { concurrency: 8 },
  )
  .parallel({
    stats: [summarise, (s) => s.transform],
    audit: [audit, (s) => ({ validated: s.validate.chunks, transformed: s.transform })],
  })
  .step("save", save, (s) => ({
    chunks: s.transform,
    database: s.input.database,
    rowsIn: s.validate.rowsIn,
    rejected: s.validate.rejected,
    stats: s.stats,
    audit: s.audit,
  }))
  .build();
