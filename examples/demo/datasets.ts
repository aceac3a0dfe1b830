/**
 * Three real data sets, as the npm package vega-datasets ships them: where they are, how they are read,
 * and what a row must be like to be let in.
 *
 *   flights   20,000 flights in the USA in 2001 (flights-20k.json): clean
 *   weather    2,922 days in Seattle and New York (weather.csv): clean, and all text
 *   movies     3,201 movies up to 2011 (movies.json): dirty. Titles that are numbers ("300" became 300), years
 *              of a century too late (a two-digit year was guessed wrong: 2039 for 1939), figures that are missing.
 */

import { readFile } from "node:fs/promises";
import { z } from "zod";

export const DATASETS = ["flights", "weather", "movies"] as const;
export const Dataset = z.enum(DATASETS);
export type Dataset = z.infer<typeof Dataset>;

/** No movie of a collection made in 2011 was released later. */
const LAST_YEAR = 2011;

const text = z.string().trim().min(1);
const airport = z.string().regex(/^[A-Z]{3}$/, "no airport code");

export const Flight = z.object({
  date: z.string().regex(/^\d{4}\/\d\d\/\d\d \d\d:\d\d$/, "no date and time"),
  delay: z.int(),
  distance: z.int().positive(),
  origin: airport,
  destination: airport,
});

export const Day = z
  .object({
    location: text,
    date: z.iso.date(),
    precipitation: z.coerce.number().min(0),
    temp_max: z.coerce.number().min(-60).max(60),
    temp_min: z.coerce.number().min(-60).max(60),
    wind: z.coerce.number().min(0),
    weather: z.enum(["drizzle", "rain", "sun", "snow", "fog"]),
  })
  .refine((day) => day.temp_min <= day.temp_max, "the minimum is above the maximum");

export const Movie = z.object({
  Title: z.string("the title is no text").trim().min(1),
  "Release Date": z
    .string()
    .regex(/^[A-Z][a-z]{2} \d\d \d{4}$/, "no date")
    .refine((date) => Number(date.slice(-4)) <= LAST_YEAR, "released after the collection was made"),
  "US Gross": z.number("the gross is missing").min(0),
  "Production Budget": z.number("the budget is missing").min(0),
  "MPAA Rating": z.enum(["G", "PG", "PG-13", "R", "NC-17", "Not Rated"], "no such rating").nullable(),
  "Major Genre": text.nullable(),
  "IMDB Rating": z.number().min(0).max(10).nullable(),
});

export const SCHEMAS = { flights: Flight, weather: Day, movies: Movie } as const;

const FILES: Record<Dataset, string> = { flights: "flights-20k.json", weather: "weather.csv", movies: "movies.json" };

/** Where a raw file is: the package's own folder, wherever it is installed. */
function fileOf(dataset: Dataset): URL {
  return new URL(`../data/${FILES[dataset]}`, import.meta.resolve("vega-datasets"));
}

/** The rows of a data set as they are, the first `limit` of them. */
export async function readRaw(dataset: Dataset, limit: number): Promise<unknown[]> {
  const file = fileOf(dataset);
  const content = await readFile(file, "utf8");
  const rows = file.pathname.endsWith(".csv") ? parseCsv(content) : (JSON.parse(content) as unknown[]);
  return rows.slice(0, limit);
}

/** Enough for a file without quotes, which this one is. */
function parseCsv(content: string): Record<string, string | undefined>[] {
  const [head, ...lines] = content.trim().split(/\r?\n/);
  const names = head!.split(",");
  return lines.map((line) => {
    const cells = line.split(",");
    return Object.fromEntries(names.map((name, i) => [name, cells[i]]));
  });
}
