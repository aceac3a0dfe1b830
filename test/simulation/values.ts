/** Values of every kind that may be sent, what a step makes of them, and how they are written down to be compared. */
import { z } from "zod";

export const Values = z.object({
  at: z.date(),
  big: z.bigint(),
  map: z.map(z.string(), z.date()),
  set: z.set(z.bigint()),
  bytes: z.instanceof(Uint8Array),
  nan: z.nan(),
  loose: z.any(),
});
export type Values = z.infer<typeof Values>;

const DAY_MS = 86_400_000;

export function valuesOf(n: number): Values {
  return {
    at: new Date(n * DAY_MS),
    big: 2n ** 64n + BigInt(n),
    map: new Map([
      ["b", new Date(n)],
      ["a", new Date(0)],
    ]),
    set: new Set([BigInt(n), 0n]),
    bytes: new Uint8Array([n, 0, 255]),
    nan: Number.NaN,
    // A key "$type" of the user's own is no tag.
    loose: [
      -0,
      undefined,
      null,
      Number.POSITIVE_INFINITY,
      { $type: "Date", value: n, none: undefined },
      new Map([[n, -0]]),
    ],
  };
}

/** What the step `carry` returns. */
export function carried({ at, big, map, set, bytes, loose }: Values): Values {
  return {
    at: new Date(at.getTime() + DAY_MS),
    big: -big,
    map: new Map([...map].reverse()),
    set: new Set([...set, big]),
    bytes: Uint8Array.from([...bytes].reverse()),
    nan: Number.NaN,
    loose: { was: loose },
  };
}

/** One text for equal values: keys sorted, those that are undefined left out, every kind told from the others. */
export function spellValue(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "bigint":
      return `${value}n`;
    case "object":
      return value === null ? "null" : spellObject(value);
    default:
      return String(value);
  }
}

function spellObject(value: object): string {
  const list = (items: Iterable<unknown>) => [...items].map(spellValue).join(",");
  if (Array.isArray(value)) return `[${list(value)}]`;
  if (value instanceof Date) return `date ${value.toISOString()}`;
  if (value instanceof Map) return `map(${list(value)})`;
  if (value instanceof Set) return `set(${list(value)})`;
  if (value instanceof Uint8Array) return `bytes(${list(value)})`;
  if (value instanceof Error) return `error(${JSON.stringify(value.message)})`;
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return `{${fields.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, field]) => `${JSON.stringify(key)}:${spellValue(field)}`)}}`;
}
