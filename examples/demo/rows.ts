/** What rows become: pure functions from a row that was let in to a row of the database. */

import { createHash } from "node:crypto";
import type { z } from "zod";
import type { Day, Flight, Movie } from "./datasets.ts";

/** A row, with the number it has in its file. */
export interface Numbered<T> {
  row: number;
  value: T;
}

export interface FlightRow {
  id: number;
  at: string;
  route: string;
  delayMin: number;
  distanceKm: number;
  /** Fifteen minutes and more, as airlines count it. */
  late: 0 | 1;
}
export interface WeatherRow {
  id: number;
  date: string;
  place: string;
  kind: string;
  precipitationMm: number;
  meanC: number;
}
export interface MovieRow {
  id: number;
  title: string;
  released: string;
  genre: string | null;
  rating: string | null;
  imdb: number | null;
  budgetUsd: number;
  grossUsd: number;
  profitUsd: number;
}
export interface Rows {
  flights: FlightRow;
  weather: WeatherRow;
  movies: MovieRow;
}

const KM_PER_MILE = 1.609344;
const MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec";

export const transforms = {
  flights: ({ row, value: f }: Numbered<z.output<typeof Flight>>): FlightRow => ({
    id: row,
    at: `${f.date.replaceAll("/", "-").replace(" ", "T")}:00`,
    route: `${f.origin}-${f.destination}`,
    delayMin: f.delay,
    distanceKm: Math.round(f.distance * KM_PER_MILE),
    late: f.delay >= 15 ? 1 : 0,
  }),
  weather: ({ row, value: d }: Numbered<z.output<typeof Day>>): WeatherRow => ({
    id: row,
    date: d.date,
    place: d.location,
    kind: d.weather,
    precipitationMm: d.precipitation,
    meanC: Math.round((d.temp_min + d.temp_max) * 5) / 10,
  }),
  movies: ({ row, value: m }: Numbered<z.output<typeof Movie>>): MovieRow => ({
    id: row,
    title: m.Title,
    released: isoDate(m["Release Date"]),
    genre: m["Major Genre"],
    rating: m["MPAA Rating"],
    imdb: m["IMDB Rating"],
    budgetUsd: m["Production Budget"],
    grossUsd: m["US Gross"],
    profitUsd: m["US Gross"] - m["Production Budget"],
  }),
};

/** `Jun 12 1998` → `1998-06-12` */
function isoDate(date: string): string {
  const month = MONTHS.indexOf(date.slice(0, 3)) / 3 + 1;
  return `${date.slice(7)}-${String(month).padStart(2, "0")}-${date.slice(4, 6)}`;
}

/** Tells whether a chunk is the one that was written. */
export function checksum(content: string): string {
  return createHash("sha256").update(content).digest("hex").slice(0, 16);
}
