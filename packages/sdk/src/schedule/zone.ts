/**
 * Time zones: how far the wall clocks of a place are ahead of UTC, by the time zone data of this Node.
 *
 * Z1. `wall = instant + offsetAt(instant)`: wall-clock time as epoch milliseconds, as if it were UTC.
 * Z2. Two changes of the offset are more than 52 hours apart (since 1970 the closest were a week apart, Brazil in 2000).
 *
 * Checked elsewhere:
 *   Z1 Z2  times.test.ts: each that wall clocks name comes once, and nothing else does (T2), by trying every minute
 */

export interface Zone {
  readonly name: string;
  /** Milliseconds that wall clocks are ahead of UTC. */
  offsetAt(instantMs: number): number;
  /** The first instant in (from, to], at most 52 hours apart, at which the offset is another than at `from`. */
  changeIn(fromMs: number, toMs: number): number | undefined;
}

/** No two offsets on earth are further apart: −12 to +14 hours. Also the longest gap or fold. */
export const FURTHEST_MS = 26 * 3_600_000;

const zones = new Map<string, Zone>();

/** @throws {RangeError} Node knows no such zone. */
export function zoneOf(name: string): Zone {
  const zone = zones.get(name) ?? load(name);
  zones.set(name, zone);
  return zone;
}

function load(name: string): Zone {
  // Node takes "+01:00" and "CET" too; the former has no summer time, and that should be said by a zone's name.
  if (!/^[A-Za-z]/.test(name))
    throw new RangeError(`"${name}" is no time zone: it takes names such as "Europe/Berlin".`);
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat("en-US", { timeZone: name, timeZoneName: "longOffset" });
  } catch (cause) {
    throw new RangeError(`"${name}" is no time zone that this Node (time zone data ${process.versions.tz}) knows.`, {
      cause,
    });
  }
  const offsetAt = name === "UTC" ? () => 0 : (instantMs: number) => read(format.format(instantMs));
  return {
    name,
    offsetAt,
    changeIn(fromMs, toMs) {
      const before = offsetAt(fromMs);
      if (offsetAt(toMs) === before) return undefined;
      let [low, high] = [fromMs, toMs];
      while (high - low > 1) {
        const middle = Math.floor((low + high) / 2);
        if (offsetAt(middle) === before) low = middle;
        else high = middle;
      }
      return high;
    },
  };
}

/** "10/25/2026, GMT+02:00" → 7,200,000. Seconds are there in the times of sundials; plain "GMT" where it is 0. */
function read(formatted: string): number {
  const match = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(formatted);
  if (!match) throw new Error(`Node says a time zone's offset in a way that is not known here: "${formatted}".`);
  const [, sign, hours = 0, minutes = 0, seconds = 0] = match;
  const ms = (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds)) * 1_000;
  return sign === "-" ? -ms : ms;
}
