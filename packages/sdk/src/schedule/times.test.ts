import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseCron } from "./cron.ts";
import type { ScheduleTimes } from "./spec.ts";
import { compact, countIn, problemOf, timesIn, timesOf } from "./times.ts";
import { zoneOf } from "./zone.ts";

const at = (iso: string) => Date.parse(iso);
const iso = (instant: number) => new Date(instant).toISOString().replace(/:00\.000Z$/, "Z");

/** What wall clocks there show, and how far they are ahead of UTC: "10-25 02:30 +2". By Intl alone, as a second opinion. */
function wall(instant: number, timeZone: string): string {
  const parts = Object.fromEntries(
    new Intl.DateTimeFormat("en-GB", {
      timeZone,
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      timeZoneName: "shortOffset",
    })
      .formatToParts(instant)
      .map(({ type, value }) => [type, value]),
  );
  return `${parts.month}-${parts.day} ${parts.hour}:${parts.minute} ${parts.timeZoneName!.replace("GMT", "") || "+0"}`;
}

function walls(cron: string | string[], timezone: string, from: string, count: number): string[] {
  return timesIn(timesOf({ cron, timezone }), at(from) - 1, Number.POSITIVE_INFINITY, count).map((t) =>
    wall(t, timezone),
  );
}

describe("times of day, when clocks go forward: what they skip comes late by the gap, once (T2)", () => {
  it.each([
    ["Europe/Berlin", "30 2 * * *", "2026-03-28T00:00Z", ["03-28 02:30 +1", "03-29 03:30 +2", "03-30 02:30 +2"]],
    ["Europe/Berlin", "0 2 * * *", "2026-03-28T00:00Z", ["03-28 02:00 +1", "03-29 03:00 +2", "03-30 02:00 +2"]],
    ["Europe/Berlin", "30 2,3 * * *", "2026-03-28T22:00Z", ["03-29 03:30 +2", "03-30 02:30 +2", "03-30 03:30 +2"]],
    ["Europe/Berlin", "0,30 2 * * *", "2026-03-28T22:00Z", ["03-29 03:00 +2", "03-29 03:30 +2", "03-30 02:00 +2"]],
    ["Europe/Berlin", "30 2 29 3 *", "2026-03-01T00:00Z", ["03-29 03:30 +2", "03-29 02:30 +2"]],
    ["America/New_York", "30 2 * * *", "2026-03-07T06:00Z", ["03-07 02:30 -5", "03-08 03:30 -4", "03-09 02:30 -4"]],
    // Only 02:00 to 02:30 is missing there.
    [
      "Australia/Lord_Howe",
      "15 2 * * *",
      "2026-10-02T12:00Z",
      ["10-03 02:15 +10:30", "10-04 02:45 +11", "10-05 02:15 +11"],
    ],
    [
      "Australia/Lord_Howe",
      "45 2 * * *",
      "2026-10-02T12:00Z",
      ["10-03 02:45 +10:30", "10-04 02:45 +11", "10-05 02:45 +11"],
    ],
    // Midnight is missing.
    ["America/Sao_Paulo", "0 0 * * *", "2018-11-03T00:00Z", ["11-03 00:00 -3", "11-04 01:00 -2", "11-05 00:00 -2"]],
    // The whole of 30 December 2011 is: its noon is that of the 31st.
    ["Pacific/Apia", "0 12 * * *", "2011-12-29T12:00Z", ["12-29 12:00 -10", "12-31 12:00 +14", "01-01 12:00 +14"]],
    ["Pacific/Apia", "0 0 30 * *", "2011-11-01T12:00Z", ["11-30 00:00 -10", "12-31 00:00 +14", "01-30 00:00 +14"]],
  ])("%s, %s", (timezone, cron, from, expected) => {
    expect(walls(cron, timezone, from, expected.length)).toEqual(expected);
  });
});

describe("times of day, when clocks go back: what they show twice comes the first time (T2)", () => {
  it.each([
    ["Europe/Berlin", "30 2 * * *", "2026-10-24T00:00Z", ["10-24 02:30 +2", "10-25 02:30 +2", "10-26 02:30 +1"]],
    ["Europe/Berlin", "0,30 2 * * *", "2026-10-24T22:00Z", ["10-25 02:00 +2", "10-25 02:30 +2", "10-26 02:00 +1"]],
    ["Europe/Berlin", "0 2,3 * * *", "2026-10-24T22:00Z", ["10-25 02:00 +2", "10-25 03:00 +1", "10-26 02:00 +1"]],
    ["America/New_York", "30 1 * * *", "2026-10-31T05:00Z", ["10-31 01:30 -4", "11-01 01:30 -4", "11-02 01:30 -5"]],
    [
      "Australia/Lord_Howe",
      "45 1 * * *",
      "2026-04-03T12:00Z",
      ["04-04 01:45 +11", "04-05 01:45 +11", "04-06 01:45 +10:30"],
    ],
    [
      "Australia/Lord_Howe",
      "15 2 * * *",
      "2026-04-03T12:00Z",
      ["04-04 02:15 +11", "04-05 02:15 +10:30", "04-06 02:15 +10:30"],
    ],
  ])("%s, %s", (timezone, cron, from, expected) => {
    expect(walls(cron, timezone, from, expected.length)).toEqual(expected);
  });

  it("is not fooled by a start between the two", () => {
    // 02:45 for the first time: 02:30 has been, and comes no more that day.
    expect(walls("30 2 * * *", "Europe/Berlin", "2026-10-25T00:45Z", 1)).toEqual(["10-26 02:30 +1"]);
    // 02:15 for the second time.
    expect(walls("30 2 * * *", "Europe/Berlin", "2026-10-25T01:15Z", 1)).toEqual(["10-26 02:30 +1"]);
  });
});

describe("patterns with * for their hours go by the time that passes (T3)", () => {
  it.each([
    [
      "Europe/Berlin",
      "*/30 * * * *",
      "2026-10-25T00:00Z",
      ["10-25 02:00 +2", "10-25 02:30 +2", "10-25 02:00 +1", "10-25 02:30 +1", "10-25 03:00 +1"],
    ],
    ["Europe/Berlin", "0 * * * *", "2026-03-29T00:00Z", ["03-29 01:00 +1", "03-29 03:00 +2", "03-29 04:00 +2"]],
    ["Europe/Berlin", "@hourly", "2026-10-24T23:00Z", ["10-25 01:00 +2", "10-25 02:00 +2", "10-25 02:00 +1"]],
    [
      "Australia/Lord_Howe",
      "*/15 * * * *",
      "2026-04-04T14:30Z",
      ["04-05 01:30 +11", "04-05 01:45 +11", "04-05 01:30 +10:30", "04-05 01:45 +10:30", "04-05 02:00 +10:30"],
    ],
    ["Australia/Lord_Howe", "0 * * * *", "2026-10-03T14:30Z", ["10-04 01:00 +10:30", "10-04 03:00 +11"]],
    ["Australia/Lord_Howe", "15,45 * * * *", "2026-10-03T15:15Z", ["10-04 01:45 +10:30", "10-04 02:45 +11"]],
  ])("%s, %s", (timezone, cron, from, expected) => {
    expect(walls(cron, timezone, from, expected.length)).toEqual(expected);
  });

  it("every minute is every 60 s, through all changes of three years", () => {
    for (const timezone of ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]) {
      const times = timesOf({ cron: "* * * * *", timezone });
      for (const day of ["2026-03-08", "2026-03-29", "2026-04-04", "2026-10-03", "2026-10-25", "2026-11-01"]) {
        const from = at(`${day}T00:00Z`) - 1;
        expect(timesIn(times, from, from + 86_400_000, 2_000)).toEqual(
          Array.from({ length: 1_440 }, (_, i) => from + 1 + i * 60_000),
        );
      }
    }
  });
});

const ZONES = [
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "Australia/Lord_Howe",
  "Pacific/Apia",
  "Asia/Kathmandu",
  "Africa/Casablanca",
];
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** All instants of a range that are whole minutes, and what wall clocks show then. */
function* minutes(timezone: string, from: number, to: number): Generator<{ instant: number; wall: Date }> {
  const zone = zoneOf(timezone);
  for (let instant = Math.ceil(from / 60_000) * 60_000; instant < to; instant += 60_000)
    yield { instant, wall: new Date(instant + zone.offsetAt(instant)) };
}

const around = fc.constantFrom(
  ...["2026-03-08", "2026-03-29", "2026-04-04", "2026-06-01", "2026-10-03", "2026-10-25", "2026-11-01", "2011-12-30"],
  ...["2026-02-15", "2026-03-22", "2012-03-31"],
);
const zone = fc.constantFrom(...ZONES);
const someOf = (max: number) => fc.uniqueArray(fc.integer({ min: 0, max }), { minLength: 1, maxLength: 4 });

describe("whatever the pattern, zone and day", () => {
  it("times of day: each that wall clocks name comes once, and nothing else does (T2), by trying every minute", () => {
    fc.assert(
      fc.property(someOf(59), someOf(23), zone, around, (minute, hour, timezone, day) => {
        const cron = `${minute.join(",")} ${hour.join(",")} * * *`;
        const from = at(`${day}T00:00Z`) - 2 * DAY;
        const to = from + 4 * DAY;
        const due = new Set<number>();
        let shown = Number.NEGATIVE_INFINITY;
        for (const { instant, wall } of minutes(timezone, from - 2 * DAY, to)) {
          // What clocks have skipped comes late by the gap: wall − offset before.
          const offsetBefore = shown + 60_000 - instant;
          for (let skipped = shown + 60_000; Number.isFinite(shown) && skipped < wall.getTime(); skipped += 60_000)
            if (named(new Date(skipped), minute, hour)) due.add(skipped - offsetBefore);
          // What they show again has been.
          if (wall.getTime() > shown && named(wall, minute, hour)) due.add(instant);
          shown = Math.max(shown, wall.getTime());
        }
        const expected = [...due].filter((t) => t > from && t <= to - 1).sort((a, b) => a - b);
        expect(timesIn(timesOf({ cron, timezone }), from, to - 1, 10_000).map(iso)).toEqual(expected.map(iso));
      }),
      { numRuns: 60 },
    );
  });

  it("every hour: it comes at each minute of which wall clocks show a named one (T3), by trying every minute", () => {
    fc.assert(
      fc.property(someOf(59), zone, around, (minute, timezone, day) => {
        const from = at(`${day}T00:00Z`) - DAY;
        const expected = [...minutes(timezone, from + 1, from + 2 * DAY)]
          .filter(({ wall }) => minute.includes(wall.getUTCMinutes()))
          .map(({ instant }) => iso(instant));
        const times = timesOf({ cron: `${minute.join(",")} * * * *`, timezone });
        expect(timesIn(times, from, from + 2 * DAY - 1, 10_000).map(iso)).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  it("grow, and are the same wherever one begins to look (T1)", () => {
    const pattern = fc.constantFrom(
      "30 2 * * *",
      "*/20 1-3 * * *",
      "0 0 29 2 *",
      "15 */2 * * 1-5",
      "5,35 * * * *",
      "0 0 L * *",
    );
    fc.assert(
      fc.property(
        fc.array(pattern, { minLength: 1, maxLength: 3 }),
        zone,
        around,
        fc.integer({ min: -3 * DAY, max: 3 * DAY }),
        (cron, timezone, day, from) => {
          const times = timesOf({ cron, timezone });
          const start = at(`${day}T00:00Z`) + from;
          const found = timesIn(times, start, Number.POSITIVE_INFINITY, 30);
          expect(found).toEqual([...new Set(found)].sort((a, b) => a - b));
          expect(found[0]).toBeGreaterThan(start);
          for (const [i, time] of found.entries()) {
            // Never skipped, never early: from just before it, it is the next; from it, the one after is.
            expect(times.next(time - 1)).toBe(time);
            if (found[i + 1]) expect(times.next(Math.floor((time + found[i + 1]!) / 2))).toBe(found[i + 1]);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it("a daily time comes once for each day of a year, 366 in 2028", () => {
    for (const timezone of ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
      for (const cron of ["30 2 * * *", "0 0 * * *", "59 23 * * *", "30 1 * * *"]) {
        const offset = zoneOf(timezone).offsetAt(at("2028-01-01T00:00Z"));
        const from = at("2028-01-01T00:00Z") - offset - 1;
        expect(countIn(timesOf({ cron, timezone }), from, from + 366 * DAY, 1_000)).toBe(366);
      }
  });
});

function named(wall: Date, minute: number[], hour: number[]): boolean {
  return minute.includes(wall.getUTCMinutes()) && hour.includes(wall.getUTCHours());
}

describe("the rest of cron", () => {
  it.each([
    ["seconds come first of six", "15 0 5 * * *", ["2026-01-01T05:00:15.000Z", "2026-01-02T05:00:15.000Z"]],
    [
      "either kind of day will do, where both are restricted",
      "0 0 1 * MON",
      ["2026-01-05T00:00Z", "2026-01-12T00:00Z"],
    ],
    ["the last day of the month", "0 0 L * *", ["2026-01-31T00:00Z", "2026-02-28T00:00Z"]],
    ["the second Friday", "0 0 * * 5#2", ["2026-01-09T00:00Z", "2026-02-13T00:00Z"]],
    ["a leap day", "0 0 29 2 *", ["2028-02-29T00:00Z", "2032-02-29T00:00Z"]],
    ["a name for it", "@weekly", ["2026-01-04T00:00Z", "2026-01-11T00:00Z"]],
    ["Sunday is 0 and 7", "0 0 * * 7", ["2026-01-04T00:00Z", "2026-01-11T00:00Z"]],
  ])("%s: %s", (_what, cron, expected) => {
    expect(timesIn(timesOf({ cron }), at("2026-01-01T00:00:30Z"), Number.POSITIVE_INFINITY, 2).map(iso)).toEqual(
      expected,
    );
  });

  it.each([
    ["61 * * * *", /"61 \* \* \* \*" is wrong at character 1, "61" \(field 1, minute\): Invalid value for minute: 61/],
    ["0  25 * * *", /at character 4, "25" \(field 2, hour\)/],
    ["0 0 * * MON-FOO", /at character 9, "MON-FOO" \(field 5, day of week\)/],
    ["0 0 0 32 * *", /at character 7, "32" \(field 4, day of month\)/],
    ["* * *", /has 3 fields; it takes 5 \(minute, hour, .*\), or 6 with seconds first/],
    ["", /has 0 fields/],
    ["2026-01-01T00:00:00Z", /has 1 field;/],
    ["@reboot", /"@reboot" is none of @yearly/],
    ["*/0 * * * *", /character 1.*stepping: 0/],
    ["0 0 * * * * 2027", /has 7 fields/],
  ])('"%s" is refused, and it is said where', (pattern, message) => {
    expect(() => parseCron(pattern)).toThrow(message);
    expect(() => parseCron(pattern)).toThrow(RangeError);
  });
});

describe("intervals", () => {
  it("are multiples in UTC, moved by the offset (T4)", () => {
    const times = timesOf({ every: "6h", offset: "30m", timezone: "Europe/Berlin" });
    expect(timesIn(times, at("2026-10-25T00:00Z"), Number.POSITIVE_INFINITY, 3).map(iso)).toEqual([
      "2026-10-25T00:30Z",
      "2026-10-25T06:30Z",
      "2026-10-25T12:30Z",
    ]);
  });

  it("have floor(length / every) or one more times in a range, each a multiple", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 100, max: 1e7 }),
        fc.integer({ min: 0, max: 1e8 }),
        fc.integer({ min: 0, max: 2e12 }),
        fc.integer({ min: 0, max: 1e8 }),
        (every, offset, from, length) => {
          const times = timesOf({ every, offset });
          const found = timesIn(times, from, from + length, 100);
          for (const time of found) expect((((time - offset) % every) + every) % every).toBe(0);
          if (found.length < 100) expect([0, 1]).toContain(found.length - Math.floor(length / every));
          for (const time of found) expect(time > from && time <= from + length).toBe(true);
        },
      ),
    );
  });

  it("join with patterns, and what both name comes once (T1)", () => {
    const times = timesOf({ cron: ["0 * * * *", "15 * * * *"], every: "30m" });
    expect(timesIn(times, at("2026-01-01T00:00Z"), Number.POSITIVE_INFINITY, 4).map(iso)).toEqual([
      "2026-01-01T00:15Z",
      "2026-01-01T00:30Z",
      "2026-01-01T01:00Z",
      "2026-01-01T01:15Z",
    ]);
  });
});

describe("from and to", () => {
  it("both count themselves", () => {
    const times = timesOf({ every: "1h", startAt: "2026-01-01T05:00:00+01:00", endAt: at("2026-01-01T06:00Z") });
    expect(timesIn(times, 0, Number.POSITIVE_INFINITY, 10).map(iso)).toEqual([
      "2026-01-01T04:00Z",
      "2026-01-01T05:00Z",
      "2026-01-01T06:00Z",
    ]);
  });
});

describe("what only library and time zone data can judge", () => {
  it.each<[string, ScheduleTimes, (string | number)[], RegExp]>([
    ["a zone", { cron: "0 0 * * *", timezone: "Europe/Atlantis" }, ["timezone"], /no time zone that this Node/],
    ["an offset is no zone", { cron: "0 0 * * *", timezone: "+01:00" }, ["timezone"], /takes names/],
    ["a pattern", { cron: "0 0 * * 9" }, ["cron"], /character 9/],
    ["one of several", { cron: ["0 0 * * *", "x"] }, ["cron", 1], /1 field/],
    ["a day that never is", { cron: "0 0 31 2 *" }, ["cron"], /names no day that exists/],
  ])("%s", (_what, spec, path, message) => {
    expect(problemOf(spec)).toEqual({ path, message: expect.stringMatching(message) });
  });

  it("says nothing where there is nothing to say", () => {
    expect(problemOf({ cron: ["0 0 29 2 *", "@hourly"], timezone: "Pacific/Apia" })).toBeUndefined();
  });
});

describe("a time in a run's id", () => {
  it.each([
    ["2026-11-23T02:00:00Z", "20261123T020000Z"],
    ["2026-11-23T02:00:00.250Z", "20261123T020000250Z"],
  ])("%s is %s", (instant, text) => expect(compact(at(instant))).toBe(text));
});
