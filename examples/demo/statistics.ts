/** Figures about the rows. Pure. */

import type { Stats } from "./pipeline.ts";
import type { FlightRow, MovieRow, WeatherRow } from "./rows.ts";

export function statistics(rows: { flights: FlightRow[]; weather: WeatherRow[]; movies: MovieRow[] }): Stats {
  const { flights, weather, movies } = rows;
  const ratings = movies.flatMap((m) => m.imdb ?? []).sort((a, b) => a - b);
  const profits = Object.entries(Object.groupBy(movies, (m) => m.genre ?? "")).map(
    ([genre, all]) => [genre, sum(all!.map((m) => m.profitUsd))] as const,
  );
  const routes = Object.entries(Object.groupBy(flights, (f) => f.route)).map(([r, all]) => [r, all!.length] as const);
  return {
    flights: {
      lateShare: round(mean(flights.map((f) => f.late)), 4),
      meanDelayMin: round(mean(flights.map((f) => f.delayMin)), 2),
      busiestRoute: most(routes),
    },
    weather: {
      meanC: Object.fromEntries(
        Object.entries(Object.groupBy(weather, (d) => d.place)).map(([place, days]) => [
          place,
          round(mean(days!.map((d) => d.meanC)), 2),
        ]),
      ),
      wettestDay: most(weather.map((d) => [`${d.date} ${d.place}`, d.precipitationMm] as const)),
    },
    movies: {
      profitUsd: sum(movies.map((m) => m.profitUsd)),
      medianImdb: ratings.length === 0 ? null : ratings[Math.floor(ratings.length / 2)]!,
      bestGenre: most(profits.filter(([genre]) => genre !== "")),
    },
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : sum(values) / values.length;
}
function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
/** The name with the highest figure; the first in the alphabet where there are more. */
function most(figures: readonly (readonly [name: string, figure: number])[]): string | null {
  return [...figures].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))[0]?.[0] ?? null;
}
